# attack: del of a guard
# expect: refused
# guard: policy.names, verifier
# off: raised UnboundLocalError
del _getattr_
return "a".upper()
