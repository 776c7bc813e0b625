# attack: create an unnamed setuid file, and give it a name
# expect: denied
# guard: seccomp
# floor guard: seccomp
import ctypes, os
fd = os.open("PROJECT/sub", os.O_TMPFILE | os.O_RDWR, 0o4755)
ctypes.CDLL(None).linkat(-100, f"/proc/self/fd/{fd}".encode(), -100, b"PROJECT/sub/sh", 0x400)
