# attack: native: hands a file descriptor to the engine over the socket
# expect: contained
# guard: seccomp
import _socket
socket = _socket.socket(fileno=3)
socket.sendmsg([b"\x0c\0\0\0{\"t\":\"idle\"}"], [(1, 1, (0).to_bytes(4, "little"))])
socket.detach()
log("PWNED passed")
