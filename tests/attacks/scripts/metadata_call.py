# attack: a call in metadata
# expect: refused
# guard: meta.literal
meta = {"description": "x", "phases": [str(__import__("os").__name__) + " INTROSPECT"][:1], "when_to_use": f"INTROSPECT {len}"}
return 1
