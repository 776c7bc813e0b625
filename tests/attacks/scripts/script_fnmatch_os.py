# attack: fnmatch.os reads files
# expect: runtime-denied
# guard: facade.fnmatch
log("INTROSPECT", getattr(fnmatch, "os"))
return 1
