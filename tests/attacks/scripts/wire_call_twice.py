# attack: wire: a call with an id that is in use
# expect: killed protocol
# guard: wire.scopes
call(7)
call(7, note="FORGED")
finish()
