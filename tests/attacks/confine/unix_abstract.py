# attack: connect to an abstract unix socket
# expect: refused, or denied
# guard: network, scope, seccomp
# floor guard: scope, seccomp
import socket
socket.socket(socket.AF_UNIX).connect("\0MARK")
