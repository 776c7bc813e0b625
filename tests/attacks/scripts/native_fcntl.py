# attack: native: makes its socket nonblocking, to spin on it
# expect: contained
# guard: seccomp
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
done = libc.fcntl(3, 4, 0o4000)
log("PWNED fcntl" if done >= 0 else f"no {ctypes.get_errno()}")
