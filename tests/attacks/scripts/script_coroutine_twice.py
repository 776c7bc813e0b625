# attack: one coroutine as two branches
# expect: runtime-denied
# guard: steps.fresh
# ends: raised SetupError
# off: returned
async def work(): return await agent("x")
same = work()
return await parallel([same, same, agent("y")])
