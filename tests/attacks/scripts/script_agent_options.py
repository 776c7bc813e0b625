# attack: options of other types than they have: negative retries, tools as a dict, names like dunders
# expect: runtime-denied
# guard: steps.options
# ends: raised SetupError
# off: returned
return await agent("x", tools={"a": 1}, retries=-1, **{"__class__": 1, "api_base": "http://x"})
