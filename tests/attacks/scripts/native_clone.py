# attack: native: a second process by clone, that only waits
# expect: contained
# guard: seccomp, limit.processes
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
import os
done = libc.syscall(56, 17, 0, 0, 0, 0)
if done == 0:
    while True: pass
log("PWNED vfork_exec" if done >= 0 else f"no {ctypes.get_errno()}")
