# attack: native: ignores SIGXCPU and SIGTERM and spins
# expect: contained
# guard: seccomp
import _signal as signal
for number in (signal.SIGXCPU, signal.SIGTERM): signal.signal(number, signal.SIG_IGN)
log("PWNED ignores")
while True: pass
