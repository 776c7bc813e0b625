# attack: native: stores a key in the kernel
# expect: contained
# guard: seccomp
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
done = libc.syscall(248, b"user", b"vibe-attack", b"x", 1, -2)
log("PWNED keyring" if done >= 0 else f"no {ctypes.get_errno()}")
