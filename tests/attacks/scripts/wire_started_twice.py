# attack: wire: starts a second time
# expect: killed protocol
# guard: wire.order
send(t="started"); call(666666)
finish()
