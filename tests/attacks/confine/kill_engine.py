# attack: kill the engine
# expect: no such process, or denied
# guard: pids, scope, seccomp
# floor guard: scope, seccomp
import os
os.kill(ENGINE_PID, 9)
