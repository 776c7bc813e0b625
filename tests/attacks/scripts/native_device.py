# attack: native: makes a device
# expect: contained
# guard: seccomp, landlock, privileges
# needs: root
import os
os.mknod("CANARY_DIR/null", 0o20666, os.makedev(1, 3))
