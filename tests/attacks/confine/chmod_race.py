# attack: swap a file for a link to the outside while its mode changes
# expect: no mode changes outside
# guard: mounts, seccomp
# floor guard: seccomp
import os
open("PROJECT/sub/a", "w").close()
os.symlink("OUTSIDE/canary", "PROJECT/sub/b")
swapper = os.fork()
while swapper == 0:
    for one, other in (("a", "c"), ("b", "a"), ("a", "b"), ("c", "a")):
        os.rename("PROJECT/sub/" + one, "PROJECT/sub/" + other)
seen = 0
while seen < 200:
    seen += os.path.islink("PROJECT/sub/a")
    try:
        os.chmod("PROJECT/sub/a", 0o777)
        if os.stat("OUTSIDE/canary").st_mode & 0o777 == 0o777:
            break
    except OSError:
        pass
os.kill(swapper, 9)
