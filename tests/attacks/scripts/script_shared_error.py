# attack: the results of a fan-out, written through the error that it raises
# expect: runtime-denied
# guard: policy.writes, verifier
async def fail(): raise ValueError("x")
try:
    await parallel([fail(), fail(), agent("a")], on_error="raise")
except ValueError as error:
    error.results = [log]
    error.fault = {"type": "BudgetExceeded"}
    log("INTROSPECT", "wrote fields of an error")
return 1
