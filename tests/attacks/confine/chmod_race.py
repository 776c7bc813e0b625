# attack: swap a file for a link to the outside while its mode changes
# expect: no mode changes outside
# guard: mounts, seccomp
# floor guard: seccomp
import os, threading
open("PROJECT/sub/a", "w").close()
os.symlink("OUTSIDE/canary", "PROJECT/sub/b")
def swap():
    for _ in range(400):
        for one, other in (("a", "c"), ("b", "a"), ("a", "b"), ("c", "a")):
            os.rename("PROJECT/sub/" + one, "PROJECT/sub/" + other)
swapping = threading.Thread(target=swap)
swapping.start()
while swapping.is_alive():
    try:
        os.chmod("PROJECT/sub/a", 0o777)
    except OSError:
        pass
