# attack: link a file from outside into the project
# expect: no such file, or denied
# guard: mounts, landlock
# floor guard: landlock
import os
os.link("OUTSIDE/canary", "PROJECT/sub/linked")
print(open("PROJECT/sub/linked").read())
