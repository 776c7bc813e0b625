# attack: swap a folder for a link while writing into it
# expect: no write arrives outside
# guard: mounts, landlock
# floor guard: landlock
import os
os.mkdir("PROJECT/sub/a")
os.symlink("OUTSIDE", "PROJECT/sub/b")
swapper = os.fork()
while swapper == 0:
    for one, other in (("a", "c"), ("b", "a"), ("a", "b"), ("c", "a")):
        os.rename("PROJECT/sub/" + one, "PROJECT/sub/" + other)
seen = 0
while seen < 200:
    seen += os.path.islink("PROJECT/sub/a")
    try:
        open("PROJECT/sub/a/new", "w").close()
        if os.path.exists("OUTSIDE/new"):
            break
    except OSError:
        pass
os.kill(swapper, 9)
