# attack: := in a comprehension binds a guard in the function around it
# expect: refused
# guard: policy.names, verifier
[(_getattr_ := lambda value, name: "mine") for _ in [1]]
log("INTROSPECT", "a".upper)
return 1
