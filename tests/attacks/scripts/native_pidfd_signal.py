# attack: native: a signal to the engine through a pidfd
# expect: contained
# guard: seccomp, landlock, privileges, limit.fds
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
done = libc.syscall(424, libc.syscall(434, ENGINE_PID, 0), 10, None, 0)
log("PWNED pidfd_signal" if done >= 0 else f"no {ctypes.get_errno()}")
