# attack: wire: a call whose id is a text
# expect: killed protocol
# guard: wire.types, wire.scopes
send(t="call", id="666666", scope=0, line=1, col=1, m="agent", p={})
finish()
