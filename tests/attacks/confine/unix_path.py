# attack: connect to a unix socket such as docker.sock
# expect: no such file, or denied
# guard: mounts, seccomp
# floor guard: seccomp
import socket
socket.socket(socket.AF_UNIX).connect("OUTSIDE/docker.sock")
