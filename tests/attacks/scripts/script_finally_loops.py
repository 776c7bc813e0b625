# attack: a cancelled branch that loops for ever in finally
# expect: killed
# guard: limit.cpu
# ends: killed cpu
# off: killed stalled
async def stubborn():
    try:
        await agent("x")
    finally:
        while True: pass
async def fail(): raise ValueError("stop")
return await parallel([stubborn(), fail()], on_error="raise")
