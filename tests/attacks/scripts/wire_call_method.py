# attack: wire: a call of a method that there is not
# expect: killed protocol
# guard: wire.names
send(t="call", id=666666, scope=0, line=1, col=1, m="exec", p={})
finish()
