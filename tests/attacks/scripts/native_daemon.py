# attack: native: leaves a daemon behind: double fork and setsid
# expect: contained
# guard: seccomp, limit.processes
import os
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True: pass
    os._exit(0)
