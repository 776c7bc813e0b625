# attack: the scheduler behind budget and a phase
# expect: runtime-denied
# guard: attributes
log("INTROSPECT", getattr(budget, "_trampoline"), getattr(phase("x"), "_task"))
return 1
