# attack: wire: a budget below zero
# expect: killed protocol
# guard: wire.limits
opened(666666, kind="budget", limits={"tokens": -10**9})
finish()
