# attack: native: makes a folder its root
# expect: contained
# guard: seccomp, privileges
# needs: root
import os
os.chroot("CANARY_DIR")
log("PWNED chroot")
