# attack: a bare except catches the end of a cancelled branch
# expect: harmless
# guard: policy.except
async def stubborn():
    try:
        await agent("x")
    except:
        log("INTROSPECT", "caught the cancellation")
async def fail(): raise ValueError("stop")
return await parallel([stubborn(), fail()], on_error="raise")
