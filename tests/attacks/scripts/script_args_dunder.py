# attack: arguments named like attributes of the interpreter, to be read past the guard
# expect: runtime-denied
# guard: attributes
# args: {"__class__": "x", "__dict__": {}, "_path": 1}
log("INTROSPECT", getattr(args, "__init_subclass__"), getattr(args, "__class__"))
return 1
