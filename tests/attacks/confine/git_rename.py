# attack: move .git away, for another to take its place
# expect: busy, or denied
# guard: protected
# floor guard: protected
import os
os.rename("PROJECT/.git", "PROJECT/sub/git")
os.mkdir("PROJECT/.git")
