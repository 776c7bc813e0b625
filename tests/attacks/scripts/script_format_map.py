# attack: str.format_map, which reads attributes and calls __missing__
# expect: runtime-denied
# guard: attributes
log("INTROSPECT", "{x.__class__}".format_map({"x": 1}))
return 1
