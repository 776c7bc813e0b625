# attack: wire: a call with half a character
# expect: killed protocol
# guard: wire.types, wire.numbers
# off: returned
raw(b'{"t":"call","id":666666,"scope":0,"line":1,"col":1,"m":"agent","p":{"a":"\\ud800"}}')
finish()
