# attack: mark a readable file by its descriptor, as chattr does
# expect: read-only, or denied
# guard: mounts, seccomp
# floor guard: seccomp
# needs: file flags
import fcntl, os, struct
fd = os.open("READABLE/file", os.O_RDONLY)
fcntl.ioctl(fd, 0x40086602, struct.pack("=q", 0x40))  # FS_IOC_SETFLAGS, do not dump
print("PWNED")
