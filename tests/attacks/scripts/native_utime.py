# attack: native: changes the times of a file
# expect: contained
# guard: seccomp, privileges
import os
os.utime("CANARY_DIR/canary", (1, 1))
