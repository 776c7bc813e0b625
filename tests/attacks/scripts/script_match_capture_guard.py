# attack: a capture pattern binds a guard: its name is no node of its own
# expect: refused
# guard: policy.names, verifier
match [lambda value, name: "mine"]:
    case [_getattr_]:
        log("INTROSPECT", "a".upper)
return 1
