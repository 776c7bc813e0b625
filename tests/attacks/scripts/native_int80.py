# attack: native: removes a file by a system call of the 32-bit table, from machine code
# expect: contained
# guard: seccomp.exec, seccomp.arch, landlock
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
page = libc.mmap(None, 4096, 7, 0x62, -1, 0)  # below 4 GB
ctypes.memmove(page + 64, b"CANARY_DIR/canary\0", 100)
code = b"\x53\xbb" + (page + 64).to_bytes(4, "little") + b"\xb8\x0a\0\0\0\xcd\x80\x5b\xc3"  # unlink: 10 there, mprotect here
ctypes.memmove(page, code, len(code))
log(f"unlink: {ctypes.CFUNCTYPE(ctypes.c_int)(page)()}")
