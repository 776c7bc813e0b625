# attack: create a file that is setuid from its start
# expect: denied
# guard: seccomp
# floor guard: seccomp
import os
os.open("PROJECT/sub/sh", os.O_CREAT | os.O_WRONLY, 0o4755)
