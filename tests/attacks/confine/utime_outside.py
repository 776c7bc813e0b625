# attack: change the times of a file outside of the project
# expect: no such file, or denied
# guard: mounts, seccomp
# floor guard: seccomp
import os
os.utime("OUTSIDE/canary", (1, 1))
