# attack: fill the machine's disk through /tmp
# expect: no space left
# guard: mounts
# floor guard: -
import os
for number in range(8):
    open(os.environ["TMPDIR"] + f"/{number}", "wb").write(bytes(4 << 20))
print("PWNED")
