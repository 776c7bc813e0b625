# attack: native: writes an attribute of a file
# expect: contained
# guard: seccomp, privileges
import os
os.setxattr("CANARY_DIR/canary", b"user.x", b"x")
