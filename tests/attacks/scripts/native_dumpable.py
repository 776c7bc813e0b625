# attack: native: lets itself be looked into
# expect: contained
# guard: seccomp
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
done = libc.prctl(4, 1, 0, 0, 0)
log("PWNED dumpable" if done >= 0 else f"no {ctypes.get_errno()}")
