# attack: wire: claims stored answers that it never got
# expect: killed protocol
# guard: wire.taken
send(t="idle", taken=666666)
finish()
