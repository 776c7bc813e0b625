# attack: native: closes its socket and lives on
# expect: contained
# guard: host.kill, limit.cpu, seccomp
import os
os.close(3)
while True: pass
