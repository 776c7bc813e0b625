# attack: plant a hook, which the next git runs
# expect: read-only, or denied
# guard: protected
# floor guard: protected
open("PROJECT/.git/hooks/pre-commit", "w").write("#!/bin/sh")
