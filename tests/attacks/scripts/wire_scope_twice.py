# attack: wire: a scope that is opened twice
# expect: killed protocol
# guard: wire.scopes
opened(700000); opened(666666)
finish()
