# attack: change the mode of a readable file by its descriptor
# expect: read-only, or denied
# guard: mounts, seccomp
# floor guard: seccomp
import os
os.fchmod(os.open("READABLE/file", os.O_RDONLY), 0o777)
