# attack: garbage with a `finally` block, so that it runs while the tripwire is off for the sandbox's own look at frames
# expect: harmless
# guard: attributes, tripwire.pause
def litter():
    def trap(box):
        try: yield
        finally:
            budget(steps=1)
    box = []
    box.append(trap(box))
    next(box[0])
for size in range(20):
    litter()
    keep = [[] for _ in range(size)]
    kept = [budget(steps=1) for _ in range(900)]
log("INTROSPECT", getattr((x for x in [1]), "gi_frame"))
return 1
