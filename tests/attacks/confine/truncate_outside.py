# attack: truncate a file outside of the project
# expect: no such file, or denied
# guard: mounts, landlock
# floor guard: landlock
import os
os.truncate("OUTSIDE/canary", 0)
