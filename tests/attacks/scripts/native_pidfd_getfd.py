# attack: native: takes a file descriptor of the engine
# expect: contained
# guard: seccomp, landlock, privileges, limit.fds
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
done = libc.syscall(438, libc.syscall(434, ENGINE_PID, 0), 0, 0)
log("PWNED pidfd_getfd" if done >= 0 else f"no {ctypes.get_errno()}")
