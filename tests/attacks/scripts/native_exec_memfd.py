# attack: native: writes a program into memory and becomes it
# expect: contained
# guard: seccomp, landlock, limit.fds, limit.file_size, limit.processes
import os
body = b'{"t":"log","scope":0,"line":1,"message":"PWNED memfd"}'
frame = "".join(f"\\{byte:03o}" for byte in len(body).to_bytes(4, "little") + body)
fd = os.memfd_create("x", 0)
try: os.write(fd, f"#!/bin/sh\nprintf '{frame}' >&3\n".encode())
except OSError as error: log(f"no {error}")
os.execve(f"/proc/self/fd/{fd}", ["x"], {})
