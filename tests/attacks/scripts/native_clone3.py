# attack: native: a second process by clone3
# expect: contained
# guard: seccomp, limit.processes
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
done = libc.syscall(435, (ctypes.c_uint64 * 8)(0, 0, 0, 0, 17), 64)
if done == 0:
    while True: pass
log("PWNED clone3" if done >= 0 else f"no {ctypes.get_errno()}")
