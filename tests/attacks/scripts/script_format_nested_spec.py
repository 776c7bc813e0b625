# attack: an attribute in a format specification within a field
# expect: runtime-denied
# guard: format
log("INTROSPECT", "{0:{1.real}}|{0[0]}".format("a", 5))
return 1
