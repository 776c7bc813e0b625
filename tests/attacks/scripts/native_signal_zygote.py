# attack: native: a signal to the zygote
# expect: contained
# guard: seccomp, landlock, privileges
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
done = libc.kill(libc.getppid(), 23)
log("PWNED signal_zygote" if done >= 0 else f"no {ctypes.get_errno()}")
