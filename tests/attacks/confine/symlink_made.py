# attack: write through a link that the command makes
# expect: no such file, or denied
# guard: mounts, landlock
# floor guard: landlock
import os
os.symlink("OUTSIDE", "PROJECT/sub/way_out")
open("PROJECT/sub/way_out/new", "w").write("x")
