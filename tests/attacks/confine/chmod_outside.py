# attack: change the mode of a file outside of the project
# expect: no such file, or denied
# guard: mounts, seccomp
# floor guard: seccomp
import os
os.chmod("OUTSIDE/canary", 0o777)
