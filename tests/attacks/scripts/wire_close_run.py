# attack: wire: closes the run itself
# expect: killed protocol
# guard: wire.scopes
# off: returned
send(t="close", id=0)
finish()
