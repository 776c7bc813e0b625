# attack: native: gives a file to somebody else
# expect: contained
# guard: seccomp, privileges
# needs: root
import os
os.chown("CANARY_DIR/canary", 12345, 12345)
