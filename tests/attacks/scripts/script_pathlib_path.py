# attack: pathlib.Path reads files
# expect: runtime-denied
# guard: facade.pathlib, attributes, tripwire, seccomp, landlock, limit.fds
log("PWNED", getattr(pathlib, "Path")("CANARY_DIR/canary").read_text())
return 1
