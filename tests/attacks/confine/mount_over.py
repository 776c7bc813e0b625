# attack: mount something over a folder
# expect: denied
# guard: seccomp, capabilities, landlock, user
# floor guard: seccomp, capabilities, landlock
# needs: root
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
if libc.mount(b"none", b"PROJECT/sub", b"tmpfs", 0, None) == 0:
    print("PWNED")
    libc.umount2(b"PROJECT/sub", 2)
