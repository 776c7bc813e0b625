# attack: make the system writable again
# expect: denied
# guard: seccomp, capabilities, landlock, user
# floor guard: -
# needs: root
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
if libc.mount(None, b"/usr", None, 32 | 4096 | 2 | 4, None) == 0:
    print("PWNED")
