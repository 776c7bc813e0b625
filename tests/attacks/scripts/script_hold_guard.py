# attack: a guard as a value: a default, an argument, a key function
# expect: refused
# guard: policy.names
def f(read=_getattr_): return read
log("INTROSPECT", f(), _match_str_)
return 1
