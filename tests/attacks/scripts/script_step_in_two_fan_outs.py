# attack: one step handed to two fan-outs at once
# expect: runtime-denied
# guard: steps.once
# ends: raised SetupError
# off: raised KeyError
step = agent("x")
async def both(): return await parallel([step, agent("y")])
return await parallel([both(), both(), step], on_error="raise")
