# attack: native: asks for the handle of a file, which no path leads to
# expect: contained
# guard: seccomp
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
handle = (ctypes.c_uint32 * 66)(128)
done = libc.syscall(303, -100, b"CANARY_DIR/canary", handle, (ctypes.c_int * 1)(), 0)
log("PWNED file_handle" if done >= 0 else f"no {ctypes.get_errno()}")
