# attack: the class of a digest, called with a state of the script's
# expect: runtime-denied
# guard: type
Digest = type(hashlib.md5())
log("INTROSPECT", Digest("mine", []))
return 1
