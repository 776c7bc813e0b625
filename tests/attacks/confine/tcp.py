# attack: connect to the machine's loopback by TCP
# expect: refused, or denied
# guard: network, seccomp, landlock
# floor guard: seccomp, landlock
import socket
socket.create_connection(("127.0.0.1", TCP_PORT), 2)
