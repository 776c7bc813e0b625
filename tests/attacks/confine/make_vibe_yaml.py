# attack: create a configuration that is not there
# expect: read-only, or denied
# guard: protected
# floor guard: protected
open("PROJECT/vibe.yaml", "w").write("x: 1")
