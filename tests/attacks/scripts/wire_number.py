# attack: wire: a result that is no number
# expect: killed protocol
# guard: wire.numbers
# off: returned
raw(b'{"t":"done","value":1e999}')
listen()
