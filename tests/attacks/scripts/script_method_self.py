# attack: __self__ of a primitive is the engine, __self__ of a builtin the real builtins
# expect: runtime-denied
# guard: attributes
log("INTROSPECT", getattr(len, "__self__"), getattr(log, "__self__"))
return 1
