# attack: read the private key in the person's home
# expect: no such file, or denied
# guard: mounts, landlock
# floor guard: landlock
print(open("HOME_DIR/.ssh/id_ed25519").read())
