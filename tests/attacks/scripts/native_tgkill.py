# attack: native: a signal to one thread of the engine
# expect: contained
# guard: seccomp, landlock, privileges
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
done = libc.syscall(234, ENGINE_PID, ENGINE_PID, 10)
log("PWNED tgkill" if done >= 0 else f"no {ctypes.get_errno()}")
