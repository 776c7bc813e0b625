# attack: set an attribute of a file outside of the project
# expect: no such file, or denied
# guard: mounts, seccomp
# floor guard: seccomp
# needs: xattr
import os
os.setxattr("READABLE/file", "user.evil", b"x")
