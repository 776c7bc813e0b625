# attack: leave a file in the machine's /tmp
# expect: it is a private one, or denied
# guard: mounts, landlock
# floor guard: landlock
open("/tmp/MARK", "w").close()
