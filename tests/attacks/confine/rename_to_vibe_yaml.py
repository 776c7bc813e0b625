# attack: move a prepared configuration into place
# expect: busy, or denied
# guard: protected
# floor guard: protected
import os
os.rename("PROJECT/sub/file", "PROJECT/vibe.yaml")
