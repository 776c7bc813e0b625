# attack: copy.copy makes a second step out of one, past its constructor
# expect: runtime-denied
# guard: facade.copy
step = agent("x")
log("INTROSPECT", copy.copy(step))
return await step
