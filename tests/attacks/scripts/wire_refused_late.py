# attack: wire: says that it was refused, after it ran
# expect: killed protocol
# guard: wire.order
# off: refused
call(1); send(t="refused", problems=[{"line": 1, "column": 1, "message": "x"}])
listen()
