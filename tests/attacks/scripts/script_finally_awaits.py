# attack: a cancelled branch that awaits again and again in finally
# expect: runtime-denied
# guard: strands.close
# ends: raised ValueError
# off: killed cpu
async def stubborn():
    while True:
        try:
            await agent("x")
        finally:
            continue
async def fail(): raise ValueError("stop")
return await parallel([stubborn(), fail()], on_error="raise")
