# attack: native: stops itself: no CPU time, no end
# expect: killed violation
# guard: seccomp
# off: killed stalled
import os
os.kill(os.getpid(), 19)
