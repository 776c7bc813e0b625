# attack: become root of a user namespace
# expect: denied, or none left
# guard: seccomp, user
# floor guard: seccomp
import ctypes
if ctypes.CDLL(None).unshare(0x10000000) == 0:
    print("PWNED")
