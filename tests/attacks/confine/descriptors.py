# attack: use a descriptor that was left open
# expect: none is
# guard: descriptors
# floor guard: descriptors
import os
left = []
for fd in range(3, 256):
    try:
        os.fstat(fd)
    except OSError:
        continue
    left.append(fd)
if left:
    print("PWNED", left)
