# attack: move a file of the project into the hooks
# expect: another file system, or denied
# guard: protected
# floor guard: protected
import os
os.rename("PROJECT/sub/file", "PROJECT/.git/hooks/pre-commit")
