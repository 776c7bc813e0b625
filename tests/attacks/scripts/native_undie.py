# attack: native: asks not to die with the zygote
# expect: contained
# guard: seccomp
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
done = libc.prctl(1, 0, 0, 0, 0)
log("PWNED undie" if done >= 0 else f"no {ctypes.get_errno()}")
