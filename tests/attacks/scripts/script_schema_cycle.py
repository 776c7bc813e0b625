# attack: a schema that contains itself
# expect: runtime-denied
# guard: wire.json
# ends: raised SetupError
# off: raised ValueError
schema = {"type": "object"}
schema["properties"] = {"again": schema}
return await agent("x", schema=schema)
