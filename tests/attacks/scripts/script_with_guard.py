# attack: with ... as a guard
# expect: refused
# guard: policy.names, verifier
# off: raised TypeError
with phase("x") as _getattr_:
    return "a".upper()
