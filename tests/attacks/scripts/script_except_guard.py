# attack: except ... as a guard, which is deleted at the end of the block
# expect: refused
# guard: policy.names, verifier
# off: raised UnboundLocalError
try:
    1 / 0
except ZeroDivisionError as _getattr_:
    pass
return "a".upper()
