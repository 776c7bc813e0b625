# attack: wire: a call with an id that no JSON reader holds
# expect: killed protocol
# guard: wire.scopes
call(6666660000000000000000)
finish()
