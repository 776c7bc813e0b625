# attack: |= on the arguments under another name changes them in place
# expect: runtime-denied
# guard: args
# args: {"path": "src"}
def change(given):
    given |= {"path": "/etc"}
change(args)
log("INTROSPECT", args.path)
return 1
