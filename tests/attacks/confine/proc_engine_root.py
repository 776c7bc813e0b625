# attack: go by the root of the engine's process
# expect: no such process, or denied
# guard: pids, landlock, user
# floor guard: landlock
# needs: root
print(open("/proc/ENGINE_PID/root/OUTSIDE/canary").read())
