# attack: native: binds the engine to a processor
# expect: contained
# guard: seccomp, privileges
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
mask = (ctypes.c_uint64 * 16)()
libc.sched_getaffinity(ENGINE_PID, 128, mask)
done = libc.sched_setaffinity(ENGINE_PID, 128, mask)
log("PWNED affinity" if done >= 0 else f"no {ctypes.get_errno()}")
