# attack: kill whoever waits for the command, and go on
# expect: not possible, or killed all the same
# guard: pids, reaper
# floor guard: reaper
import os, signal, subprocess
subprocess.Popen(["sleep", "300.SERIAL"], start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
try:
    os.kill(os.getppid(), signal.SIGKILL)
except OSError:
    pass
