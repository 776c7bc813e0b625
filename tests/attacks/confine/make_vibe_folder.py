# attack: create a folder of workflows that is not there
# expect: read-only, or denied
# guard: protected
# floor guard: protected
import os
os.makedirs("PROJECT/.vibe/workflows")
