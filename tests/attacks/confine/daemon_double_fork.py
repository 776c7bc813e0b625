# attack: leave a process behind that has lost its parent
# expect: killed with the command
# guard: pids, reaper
# floor guard: reaper
import os
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.closerange(0, 3)
        os.execvp("sleep", ["sleep", "300.SERIAL"])
    os._exit(0)
os.wait()
