# attack: a hash that is an address, and so another one in each run
# expect: runtime-denied
# guard: hash
# ends: raised TypeError
# off: returned
return [hash(log), hash((None, log))]
