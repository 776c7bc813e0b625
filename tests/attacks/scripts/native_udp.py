# attack: native: sends a datagram
# expect: contained
# guard: seccomp, limit.fds
import _socket
_socket.socket(2, 2).sendto(b"x", ("127.0.0.1", PORT))
log("PWNED sent")
