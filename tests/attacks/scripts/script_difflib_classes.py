# attack: difflib's classes, whose instances are open to attribute writes, and the modules beside them
# expect: runtime-denied
# guard: facade.difflib
log("INTROSPECT", getattr(difflib, "HtmlDiff")(), getattr(difflib, "Differ"))
return 1
