# attack: a class of errors in Python, its constructor, and the globals of that
# expect: runtime-denied
# guard: attributes
log("INTROSPECT", getattr(getattr(SetupError, "__init__"), "__globals__"))
return 1
