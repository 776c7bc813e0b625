# attack: change the mode of a file outside through a link in the project
# expect: no such file, or denied
# guard: mounts, seccomp
# floor guard: seccomp
import os
os.chmod("PROJECT/link", 0o777)
