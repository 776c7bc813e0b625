# attack: native: renames a file
# expect: contained
# guard: seccomp, landlock
import os
os.rename("CANARY_DIR/canary", "CANARY_DIR/canary2")
