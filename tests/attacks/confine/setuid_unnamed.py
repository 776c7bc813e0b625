# attack: create an unnamed setuid file, and give it a name
# expect: denied
# guard: seccomp
# floor guard: seccomp
import os
fd = os.open("PROJECT/sub", os.O_TMPFILE | os.O_RDWR, 0o4755)
os.link(f"/proc/self/fd/{fd}", "PROJECT/sub/sh", follow_symlinks=True)
