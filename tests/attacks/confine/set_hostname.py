# attack: rename the machine
# expect: denied
# guard: seccomp, capabilities, user
# floor guard: seccomp, capabilities
# needs: root
import socket
socket.sethostname(socket.gethostname())
print("PWNED")
