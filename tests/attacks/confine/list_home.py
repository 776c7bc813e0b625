# attack: list the person's home
# expect: no such folder, or denied
# guard: mounts, landlock
# floor guard: landlock
import os
if ".ssh" in os.listdir("HOME_DIR"):
    print("PWNED")
