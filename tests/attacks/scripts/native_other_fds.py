# attack: native: reads and writes on every number but its own
# expect: contained
# guard: seccomp.read_write
import os
for fd in [*range(3), *range(4, 100), 3 - (1 << 31)]:
    try: log(f"PWNED reads {fd}: {os.read(fd, 1)!r}")
    except OSError: pass
    try: log(f"PWNED wrote to {fd}") if os.write(fd, b"x") else None
    except OSError: pass
