# attack: wire: sends the host the host's own frames
# expect: killed protocol
# guard: wire.types
# off: returned
send(t="answer", id=1, ok=1); send(t="go", calls=9)
raw(b'{"t":"done","value":"got away with it"}')
listen()
