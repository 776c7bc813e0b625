# attack: native: opens a raw socket
# expect: contained
# guard: seccomp, privileges, limit.fds
# needs: root
import _socket
_socket.socket(2, 3, 1)
log("PWNED raw")
