# attack: a function of the patterns, and the module that its globals are
# expect: runtime-denied
# guard: attributes
import vibe_workflows.patterns
log("INTROSPECT", getattr(vibe_workflows.patterns.majority, "__globals__"))
return 1
