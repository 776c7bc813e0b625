# attack: native: looks whether a file is there, and how large it is
# expect: contained
# guard: seccomp.denied
import os
log(f"PWNED {os.stat('CANARY_DIR/canary').st_size}")
