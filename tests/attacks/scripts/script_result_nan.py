# attack: a result that no JSON can hold, for a reader that is strict
# expect: runtime-denied
# guard: result
# ends: raised TypeError
# off: killed protocol
return {"value": math.nan, "more": [math.inf]}
