# attack: native: takes capabilities back
# expect: contained
# guard: seccomp, privileges
# needs: root
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
done = libc.syscall(126, (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)(1, 1, 0))
log("PWNED capset" if done >= 0 else f"no {ctypes.get_errno()}")
