# attack: native: changes the priority of the engine
# expect: contained
# guard: seccomp, privileges
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
done = libc.setpriority(0, ENGINE_PID, libc.getpriority(0, ENGINE_PID))
log("PWNED nice_engine" if done >= 0 else f"no {ctypes.get_errno()}")
