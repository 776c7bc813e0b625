# attack: write to a class of the standard library: string.Template.idpattern, for all that come after
# expect: refused
# guard: policy.writes, verifier
string.Template.idpattern = "(?s:.*)"
log("INTROSPECT", "string.Template was changed")
return 1
