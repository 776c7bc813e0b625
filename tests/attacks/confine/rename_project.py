# attack: move the project itself away
# expect: busy, no such folder, or denied
# guard: mounts, landlock
# floor guard: landlock
import os
os.chdir("/")
os.rename("PROJECT", "PROJECT.moved")
