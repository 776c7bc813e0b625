# attack: leave a process of another session behind
# expect: killed with the command
# guard: pids, reaper
# floor guard: reaper
import os, subprocess
subprocess.Popen(["sleep", "300.SERIAL"], start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
