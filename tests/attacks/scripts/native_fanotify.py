# attack: native: watches files of others
# expect: contained
# guard: seccomp, limit.fds, privileges
# needs: root
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
done = libc.syscall(300, 0, 0)
log("PWNED fanotify" if done >= 0 else f"no {ctypes.get_errno()}")
