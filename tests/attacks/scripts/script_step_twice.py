# attack: one step awaited twice, to get two answers for one budget entry
# expect: runtime-denied
# guard: steps.once
# ends: raised SetupError
# off: returned
step = agent("x")
return [await step, await step]
