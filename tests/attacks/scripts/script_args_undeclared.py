# attack: methods of the arguments that are no arguments
# expect: runtime-denied
# guard: args.names
# args: {"items": [1], "get": 2}
log("INTROSPECT", args.fromkeys, args.setdefault)
return args.items
