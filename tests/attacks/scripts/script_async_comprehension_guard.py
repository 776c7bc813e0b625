# attack: the target of an async comprehension is a guard
# expect: refused
# guard: policy.names, verifier
async def mine(): yield lambda value, name: "mine"
log("INTROSPECT", ["a".upper async for _getattr_ in mine()])
return 1
