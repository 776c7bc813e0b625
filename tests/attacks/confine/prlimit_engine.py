# attack: take the engine's file descriptors away by a limit
# expect: no such process, or denied
# guard: pids, seccomp
# floor guard: seccomp
import resource
resource.prlimit(ENGINE_PID, resource.RLIMIT_NOFILE, (5, 5))
print("PWNED")
