# attack: write to the arguments, which a later workflow in the same process would see
# expect: runtime-denied
# guard: args
# args: {"path": "src"}
args["path"] = "/etc"
log("INTROSPECT", args.path)
return 1
