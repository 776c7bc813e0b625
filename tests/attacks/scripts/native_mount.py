# attack: native: mounts over a folder, in a namespace of its own
# expect: contained
# guard: seccomp, landlock, privileges
# needs: root
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
done = libc.unshare(0x20000) or libc.mount(b"none", b"/", None, 0x44000, None) or libc.mount(b"x", b"CANARY_DIR", b"tmpfs", 0, None)
log("PWNED mount" if done >= 0 else f"no {ctypes.get_errno()}")
