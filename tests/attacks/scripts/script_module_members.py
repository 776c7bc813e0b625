# attack: what a facade holds inside
# expect: runtime-denied
# guard: attributes
log("INTROSPECT", getattr(json, "_members"), getattr(json, "__class__"))
return 1
