# attack: native: makes a fifo
# expect: contained
# guard: seccomp, landlock
import os
os.mkfifo("CANARY_DIR/fifo")
