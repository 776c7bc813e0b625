# attack: a result that contains itself
# expect: runtime-denied
# guard: result
# ends: raised TypeError
# off: raised ValueError
value = {"list": []}
value["list"].append(value)
return value
