# attack: wire: closes a scope that is not there
# expect: killed protocol
# guard: wire.scopes
send(t="close", id=666666)
finish()
