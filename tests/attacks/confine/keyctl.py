# attack: look into this user's keyrings
# expect: denied
# guard: seccomp
# floor guard: seccomp
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
import os
number = {"x86_64": 250, "aarch64": 219}[os.uname().machine]
if libc.syscall(number, 0, -4, 1) > 0:  # the user's keyring
    print("PWNED")
