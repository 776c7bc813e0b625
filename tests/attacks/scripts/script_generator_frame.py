# attack: the frame of a generator, and from there the engine's frames
# expect: runtime-denied
# guard: attributes, tripwire
log("INTROSPECT", getattr(getattr((x for x in [1]), "gi_frame"), "f_builtins").keys())
return 1
