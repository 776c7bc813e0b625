# attack: go on for ever between two calls, while the engine waits
# expect: killed
# guard: limit.cpu, host.stall
# ends: killed cpu
# off: killed timeout
await agent("x")
for _ in itertools.count(): pass
