# attack: send a datagram to the machine's loopback
# expect: it goes to a loopback of its own, or denied
# guard: network, seccomp
# floor guard: seccomp
import socket
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", UDP_PORT))
