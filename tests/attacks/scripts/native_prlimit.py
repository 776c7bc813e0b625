# attack: native: changes the limits of the engine
# expect: contained
# guard: seccomp, privileges
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
done = libc.syscall(302, ENGINE_PID, 7, None, (ctypes.c_uint64 * 2)())
log("PWNED prlimit" if done >= 0 else f"no {ctypes.get_errno()}")
