# attack: native: makes a symbolic link
# expect: contained
# guard: seccomp, landlock
import os
os.symlink("/etc", "CANARY_DIR/more")
