# attack: move a file from outside into the project, to read it there
# expect: no such file, or denied
# guard: mounts, landlock
# floor guard: landlock
import os
os.rename("OUTSIDE/canary", "PROJECT/sub/taken")
print(open("PROJECT/sub/taken").read())
