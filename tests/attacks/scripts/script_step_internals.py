# attack: fields of a step without an underscore lead to the scheduler
# expect: runtime-denied
# guard: attributes
step = agent("x")
log("INTROSPECT", step.maker, step.params)
return await step
