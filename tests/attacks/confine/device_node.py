# attack: make a device node, to read the disk through it
# expect: denied
# guard: seccomp, capabilities, user, landlock
# floor guard: seccomp, capabilities, landlock
# needs: root
import os, stat
os.mknod("PROJECT/sub/disk", stat.S_IFBLK | 0o666, os.makedev(254, 0))
print("PWNED")
