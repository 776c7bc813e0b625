# attack: make a sample hook executable
# expect: read-only, or denied
# guard: protected
# floor guard: protected
import os
os.chmod("PROJECT/.git/hooks/sample", 0o755)
