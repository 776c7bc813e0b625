# attack: native: reads the environment of the engine in /proc
# expect: contained
# guard: seccomp, landlock, privileges, limit.fds
log(f"PWNED {len(open('/proc/ENGINE_PID/environ').read())}")
