# attack: become another user of this machine, whose files then are its own
# expect: denied
# guard: capabilities, user
# floor guard: capabilities
# needs: root
import os
os.setuid(1)
print("PWNED")
