# attack: swap a folder for a link while writing into it
# expect: no write arrives outside
# guard: mounts, landlock
# floor guard: landlock
import os, threading
os.mkdir("PROJECT/sub/a")
os.symlink("OUTSIDE", "PROJECT/sub/b")
def swap():
    for _ in range(3000):
        for one, other in (("a", "c"), ("b", "a"), ("a", "b"), ("c", "a")):
            os.rename("PROJECT/sub/" + one, "PROJECT/sub/" + other)
swapping = threading.Thread(target=swap)
swapping.start()
while swapping.is_alive():
    try:
        open("PROJECT/sub/a/new", "w").close()
    except OSError:
        pass
