# attack: wire: a result of 600,000 lists
# expect: killed protocol
# guard: wire.containers
# off: returned
raw(b'{"t":"done","value":[' + b"[]," * 600000 + b"1]}")
listen()
