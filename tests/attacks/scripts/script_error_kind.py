# attack: an error whose kind cannot be printed, to break the bookkeeping of a fan-out
# expect: runtime-denied
# guard: errors.kind
# ends: returned
# off: raised ValueError
async def fail(): raise AgentError("x", kind=10**5000)
return await parallel([fail(), agent("y")])
