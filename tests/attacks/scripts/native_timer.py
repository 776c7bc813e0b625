# attack: native: wakes itself by a timer
# expect: contained
# guard: seccomp
import _signal as signal
signal.setitimer(signal.ITIMER_REAL, 1000)
log("PWNED timer")
