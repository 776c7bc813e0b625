# attack: native: copies its socket
# expect: contained
# guard: seccomp, limit.fds
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
done = libc.dup(3)
log("PWNED dup" if done >= 0 else f"no {ctypes.get_errno()}")
