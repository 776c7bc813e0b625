# attack: wire: a call in a scope that is closed
# expect: killed protocol
# guard: wire.scopes
opened(1); send(t="close", id=1); call(666666, scope=1)
finish()
