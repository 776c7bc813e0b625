# attack: wire: a call with a negative id
# expect: killed protocol
# guard: wire.scopes
call(-666666)
finish()
