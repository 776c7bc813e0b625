# attack: create a file outside of the project
# expect: no such folder, or denied
# guard: mounts, landlock
# floor guard: landlock
open("OUTSIDE/new", "w").write("x")
