# attack: native: asks for a ring: system calls without a filter
# expect: contained
# guard: seccomp, limit.fds, privileges
# needs: root
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
done = libc.syscall(425, 1, (ctypes.c_uint32 * 30)())
log("PWNED io_uring" if done >= 0 else f"no {ctypes.get_errno()}")
