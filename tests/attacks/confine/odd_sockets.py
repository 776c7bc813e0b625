# attack: open a netlink socket, to talk to the kernel's less tried parts
# expect: denied
# guard: seccomp
# floor guard: seccomp
import socket
socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
print("PWNED")
