# attack: native: a signal to its whole process group
# expect: contained
# guard: seccomp, landlock, privileges, new_session
import os
os.killpg(0, 23)
