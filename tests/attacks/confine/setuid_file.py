# attack: make a copy of the shell that runs as this user for everybody
# expect: denied
# guard: seccomp
# floor guard: seccomp
import os, shutil
shutil.copyfile("/bin/sh", "PROJECT/sub/sh")
os.chmod("PROJECT/sub/sh", 0o4755)
