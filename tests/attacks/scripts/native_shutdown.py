# attack: native: closes the engine's way to it, and lives on
# expect: contained
# guard: seccomp
import _socket
socket = _socket.socket(fileno=3)
socket.shutdown(0)
socket.detach()
log("PWNED shut")
