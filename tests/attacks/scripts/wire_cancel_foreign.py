# attack: wire: cancels a call that was never made
# expect: killed protocol
# guard: wire.scopes
send(t="cancel", call=666666)
finish()
