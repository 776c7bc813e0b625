# attack: functools.update_wrapper puts code of the script into a function of the engine, and so sees its globals
# expect: runtime-denied
# guard: facade.functools, tripwire
into = getattr(functools, "update_wrapper")
into(json.dumps, lambda *values, **options: json, ("__code__", "__kwdefaults__"), ())
log("INTROSPECT", json.dumps(1))
return 1
