# attack: global on a guard, for all functions of the script
# expect: refused
# guard: policy.names, verifier
def take():
    global _getattr_
    _getattr_ = lambda value, name: "mine"
take()
log("INTROSPECT", "a".upper)
return 1
