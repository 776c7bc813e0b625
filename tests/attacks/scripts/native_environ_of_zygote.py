# attack: native: finds secrets where the zygote had its environment: in its own memory
# expect: contained
# guard: environment, seccomp, landlock, limit.fds
for line in open("/proc/self/maps"):
    if "[stack]" in line or "[heap]" in line:
        begin, end = (int(part, 16) for part in line.split()[0].split("-"))
        import ctypes
        at = ctypes.string_at(begin, end - begin).find(b"S3CR3T_" + b"CANARY")
        if at >= 0: log("PWNED a secret in memory")
