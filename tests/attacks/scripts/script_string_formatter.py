# attack: string.Formatter reads attributes in its fields
# expect: runtime-denied
# guard: facade.string, attributes
formatter = getattr(string, "Formatter")()
log("INTROSPECT", formatter.format("{0.__globals__}", json.dumps)[:50])
return 1
