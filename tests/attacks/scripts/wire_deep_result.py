# attack: wire: a result of 700 levels
# expect: killed protocol
# guard: wire.depth
# off: returned
raw(b'{"t":"done","value":' + b"[" * 700 + b"]" * 700 + b"}")
listen()
