# attack: open a setting of the whole machine for writing, which root owns
# expect: read-only, or denied
# guard: mounts, landlock
# floor guard: landlock
# needs: root
import os
os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY)
print("PWNED")
