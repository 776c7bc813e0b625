# attack: metadata that is computed when it is read
# expect: refused
# guard: meta.literal
meta = {"description": "INTROSPECT " + str(().__class__.__base__)}
return 1
