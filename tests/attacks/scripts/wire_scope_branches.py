# attack: wire: a fan-out of a million
# expect: killed protocol
# guard: host.branches
opened(666666, kind="parallel", branches=10**6)
finish()
