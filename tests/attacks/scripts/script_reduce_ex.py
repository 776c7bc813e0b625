# attack: __reduce_ex__ gives functions that make objects of any class
# expect: runtime-denied
# guard: attributes
log("INTROSPECT", getattr([], "__reduce_ex__")(2))
return 1
