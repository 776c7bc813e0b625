# attack: make a link to a hook that the command may write
# expect: read-only, or denied
# guard: protected
# floor guard: protected
import os
os.symlink("../../sub/file", "PROJECT/.git/hooks/pre-commit")
