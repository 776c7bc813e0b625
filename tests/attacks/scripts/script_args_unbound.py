# attack: a method of dict, unbound, writes past what Args overrides
# expect: runtime-denied
# guard: unbound
# args: {"path": "src"}
dict.update(args, path="/etc")
log("INTROSPECT", args.path)
return 1
