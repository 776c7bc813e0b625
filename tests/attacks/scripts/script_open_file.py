# attack: open() by its name
# expect: refused
# guard: policy.builtins, builtins, tripwire, seccomp, landlock, limit.fds
log("PWNED", open("CANARY_DIR/canary").read() if False else [*open("CANARY_DIR/canary")])
return 1
