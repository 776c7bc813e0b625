# attack: the cells of an engine function hold the scheduler
# expect: runtime-denied
# guard: attributes
log("INTROSPECT", getattr(random.choice, "__closure__"))
return 1
