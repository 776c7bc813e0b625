# attack: a fan-out over an iterator without an end
# expect: runtime-denied
# guard: fanout.size
# ends: raised SetupError
# off: killed memory
return await parallel(itertools.repeat(lambda: 1))
