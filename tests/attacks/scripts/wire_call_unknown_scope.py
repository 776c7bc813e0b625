# attack: wire: a call in a scope that was never opened
# expect: killed protocol
# guard: wire.scopes
call(666666, scope=9)
finish()
