# attack: native: maps memory and runs machine code in it
# expect: contained
# guard: seccomp.exec
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
page = libc.mmap(None, 4096, 7, 0x22, -1, 0)
ctypes.memmove(page, b"\xb8\x2a\0\0\0\xc3", 6)
log(f"PWNED machine code says {ctypes.CFUNCTYPE(ctypes.c_int)(page)()}")
