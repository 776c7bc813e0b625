# attack: wire: a call with a number that is none
# expect: killed protocol
# guard: wire.numbers
raw(b'{"t":"call","id":666666,"scope":0,"line":1,"col":1,"m":"agent","p":{"a":1e400}}')
finish()
