# attack: wire: closes a scope twice
# expect: killed protocol
# guard: wire.scopes
# off: returned
opened(5); send(t="close", id=5); send(t="close", id=5)
finish()
