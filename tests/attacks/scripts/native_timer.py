# attack: native: wakes itself by a timer
# expect: contained
# guard: seccomp
import signal
signal.setitimer(signal.ITIMER_REAL, 1000)
log("PWNED timer")
