# attack: wire: a scope below one that never was
# expect: killed protocol
# guard: wire.scopes
opened(666666, parent=9)
finish()
