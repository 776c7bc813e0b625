# attack: a cache that hands the same coroutine to several callers
# expect: runtime-denied
# guard: facade.cache
# ends: raised TypeError
# off: raised RuntimeError
async def fetch(x): return x
fetch = functools.cache(fetch)
return [await fetch(1), await fetch(1)]
