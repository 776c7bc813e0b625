# attack: change the times of a readable file by its descriptor
# expect: read-only, or denied
# guard: mounts, seccomp
# floor guard: seccomp
import os
os.utime(os.open("READABLE/file", os.O_RDONLY), (1, 1))
