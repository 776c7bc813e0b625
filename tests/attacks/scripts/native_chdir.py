# attack: native: goes to another folder
# expect: contained
# guard: seccomp
import os
os.chdir("CANARY_DIR")
log("PWNED chdir")
