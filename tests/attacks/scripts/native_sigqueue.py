# attack: native: a queued signal with a payload to the engine
# expect: contained
# guard: seccomp, landlock, privileges
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
done = libc.syscall(129, ENGINE_PID, 10, (ctypes.c_int32 * 32)(10, 0, -1))
log("PWNED sigqueue" if done >= 0 else f"no {ctypes.get_errno()}")
