# attack: native: becomes another program, which speaks for it
# expect: contained
# guard: seccomp, landlock, limit.fds, limit.processes
import os
body = b'{"t":"log","scope":0,"line":1,"message":"PWNED exec"}'
frame = "".join(f"\\{byte:03o}" for byte in len(body).to_bytes(4, "little") + body)
os.execve("/bin/sh", ["sh", "-c", f"printf '{frame}' >&3"], {})
