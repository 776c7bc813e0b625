# attack: __loader__ and __spec__ of modules in C
# expect: runtime-denied
# guard: facade.math, facade.itertools, facade.heapq, facade.bisect
for module in (math, itertools, heapq, bisect):
    log("INTROSPECT", getattr(module, "__loader__"), getattr(module, "__spec__"))
return 1
