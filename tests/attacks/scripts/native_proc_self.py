# attack: native: reads where its own program lies
# expect: contained
# guard: seccomp.denied
import os
log("PWNED " + os.readlink("/proc/self/exe"))
