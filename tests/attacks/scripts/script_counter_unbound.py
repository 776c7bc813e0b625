# attack: Counter.subtract, a Python function, called on the read-only arguments
# expect: runtime-denied
# guard: unbound, args
# args: {"count": 5}
collections.Counter.subtract(args, {"count": 5})
if args["count"] == 0: log("INTROSPECT", "the arguments were changed")
return 1
