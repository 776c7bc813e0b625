# attack: wire: calls whose ids shrink
# expect: killed protocol
# guard: wire.scopes
call(700000); call(666666)
finish()
