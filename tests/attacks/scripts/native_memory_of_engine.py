# attack: native: opens the memory of the engine in /proc
# expect: contained
# guard: seccomp, landlock, privileges, limit.fds
open("/proc/ENGINE_PID/mem", "rb+")
log("PWNED open")
