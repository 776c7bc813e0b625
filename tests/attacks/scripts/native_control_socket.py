# attack: native: tells the engine in the zygote's name that it has ended
# expect: killed cpu
# guard: seccomp.read_write, close_fds
# off: killed crashed
import os
for fd in range(4, 40):
    try: os.write(fd, b'{"t":"failed","message":"FORGED"}')
    except OSError: pass
while True: pass
