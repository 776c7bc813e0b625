# attack: cr_await of a coroutine that waits gives what it waits for in the engine
# expect: runtime-denied
# guard: attributes
async def work(): return await agent("x")
held = work()
async def spy(): log("INTROSPECT", getattr(held, "cr_await"))
return await parallel([held, spy()], on_error="raise")
