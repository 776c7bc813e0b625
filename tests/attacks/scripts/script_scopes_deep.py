# attack: budgets nested deeper than the host follows
# expect: runtime-denied
# guard: scopes.depth
# ends: raised SetupError
# off: killed protocol
def dive(depth):
    with budget(steps=depth + 1):
        return depth if depth == 100 else dive(depth + 1)
return dive(0)
