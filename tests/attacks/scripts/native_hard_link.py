# attack: native: links to a file
# expect: contained
# guard: seccomp, landlock, privileges
import os
os.link("CANARY_DIR/canary", "CANARY_DIR/more")
