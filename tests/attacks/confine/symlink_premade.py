# attack: follow a link that came with the project
# expect: no such file, or denied
# guard: mounts, landlock
# floor guard: landlock
print(open("PROJECT/link").read())
open("PROJECT/link", "a").write("x")
