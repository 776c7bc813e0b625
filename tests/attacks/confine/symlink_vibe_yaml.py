# attack: make the configuration a link to what the command may write
# expect: it is there already, or denied
# guard: protected
# floor guard: protected
import os
os.symlink("sub/file", "PROJECT/vibe.yaml")
