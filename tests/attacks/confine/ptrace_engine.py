# attack: trace the engine
# expect: no such process, or denied
# guard: pids, seccomp, landlock, user
# floor guard: seccomp, landlock
# needs: root
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
if libc.ptrace(16, ENGINE_PID, 0, 0) == 0:  # PTRACE_ATTACH
    print("PWNED")
