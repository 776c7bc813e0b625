# attack: wire: a result that is no text
# expect: killed protocol
# guard: wire.numbers
# off: returned
raw(b'{"t":"done","value":"\xed\xa0\x80"}')
listen()
