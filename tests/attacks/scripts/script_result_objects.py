# attack: functions, generators, classes and coroutines as a result, whose repr tells addresses
# expect: runtime-denied
# guard: result
# ends: raised TypeError
# off: returned
return [log, ValueError, (x for x in []), re.compile("a"), collections.deque]
