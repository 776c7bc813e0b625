# attack: urllib.parse's caches and modules: what one script put there, another would find
# expect: runtime-denied
# guard: facade.urllib.parse
log("INTROSPECT", getattr(urllib.parse, "functools"), getattr(urllib.parse, "_coerce_args"))
return 1
