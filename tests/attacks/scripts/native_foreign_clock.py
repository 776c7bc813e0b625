# attack: native: reads how much CPU time the engine has used: any process can be found and watched so
# expect: contained
# guard: seccomp.clocks
import time
log(f"PWNED {time.clock_gettime(~ENGINE_PID << 3 | 2)}")
