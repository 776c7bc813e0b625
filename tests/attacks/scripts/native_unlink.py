# attack: native: removes a file
# expect: contained
# guard: seccomp, landlock
import os
os.unlink("CANARY_DIR/canary")
