# attack: a key that is there twice: one value for the reader, one for the engine
# expect: refused
# guard: meta.keys
# off: returned
meta = {"description": "harmless", "description": "not at all"}
return 1
