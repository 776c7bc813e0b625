# attack: wire: goes on after its end
# expect: killed protocol
# guard: wire.order
raw(b'{"t":"done","value":1}', framed(b'{"t":"log","scope":0,"line":1,"message":"FORGED"}')[4:])
finish()
