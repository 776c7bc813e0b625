# attack: read the password hashes, as root who owns them
# expect: no such file, or denied
# guard: mounts, landlock
# floor guard: landlock
# needs: root
print("PWNED" if open("/etc/shadow").read() else "")
