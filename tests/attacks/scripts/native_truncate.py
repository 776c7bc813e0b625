# attack: native: empties a file by its name
# expect: contained
# guard: seccomp, landlock, privileges, limit.file_size
import os
os.truncate("CANARY_DIR/canary", 3)
