# attack: native: connects to an abstract unix socket
# expect: contained
# guard: seccomp, landlock, limit.fds
import _socket
_socket.socket(1, 1).connect(b"\0vibe-attack-PORT")
