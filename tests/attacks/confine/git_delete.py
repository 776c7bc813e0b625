# attack: delete what is in .git
# expect: read-only, or denied
# guard: protected
# floor guard: protected
import os
os.unlink("PROJECT/.git/config")
