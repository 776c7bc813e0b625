# attack: climb out by ..
# expect: no such file, or denied
# guard: mounts, landlock
# floor guard: landlock
import os
os.chdir("PROJECT/sub")
print(open("../../outside/canary").read())
