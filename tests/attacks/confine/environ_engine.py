# attack: read the engine's environment
# expect: no such process, or denied
# guard: pids, landlock, user
# floor guard: landlock
# needs: root
print(open("/proc/ENGINE_PID/environ").read())
