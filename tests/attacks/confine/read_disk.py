# attack: read the disk below the file system
# expect: no such device, or denied
# guard: mounts, landlock
# floor guard: landlock
# needs: root, disk
import glob
if open(glob.glob("/dev/[sv]da")[0], "rb").read(512):
    print("PWNED")
