# attack: stop the kernel in the middle of a copy
# expect: denied
# guard: seccomp
# floor guard: seccomp
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
import os
number = {"x86_64": 323, "aarch64": 282}[os.uname().machine]
if libc.syscall(number, 1) >= 0:
    print("PWNED")
