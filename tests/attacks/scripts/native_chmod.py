# attack: native: opens a file to everybody
# expect: contained
# guard: seccomp, privileges
import os
os.chmod("CANARY_DIR/canary", 0o777)
