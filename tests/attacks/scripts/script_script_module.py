# attack: the real module vibe_workflows.script, with the modules below it
# expect: runtime-denied
# guard: facade.script
import vibe_workflows.script as script
log("INTROSPECT", getattr(script, "errors"), getattr(script, "outside"))
return 1
