# attack: go by /proc/self/root
# expect: no such file, or denied
# guard: mounts, landlock
# floor guard: landlock
print(open("/proc/self/root/OUTSIDE/canary").read())
