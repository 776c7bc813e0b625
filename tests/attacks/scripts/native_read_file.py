# attack: native: reads a file
# expect: contained
# guard: seccomp, landlock, limit.fds
log(open("CANARY_DIR/canary").read())
