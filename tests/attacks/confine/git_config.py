# attack: set core.fsmonitor, which the next git runs
# expect: read-only, or denied
# guard: protected
# floor guard: protected
open("PROJECT/.git/config", "a").write("[core]fsmonitor=evil")
