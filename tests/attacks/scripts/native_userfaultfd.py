# attack: native: handles its own page faults
# expect: contained
# guard: seccomp, limit.fds, privileges
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
done = libc.syscall(323, 1)
log("PWNED userfaultfd" if done >= 0 else f"no {ctypes.get_errno()}")
