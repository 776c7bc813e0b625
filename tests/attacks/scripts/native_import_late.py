# attack: native: imports what was not loaded before the lock
# expect: contained
# guard: surroundings, seccomp, landlock, limit.fds, privileges
import this
log("PWNED imported")
