# attack: native: makes all readable memory executable
# expect: contained
# guard: seccomp
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
done = libc.personality(0x400000)
log("PWNED personality" if done >= 0 else f"no {ctypes.get_errno()}")
