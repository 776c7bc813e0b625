# attack: wire: scopes without end
# expect: killed protocol
# guard: host.scopes
# off: returned
for i in range(1, 2_600): opened(i, title="x" if i < 2_599 else "FORGED", line=1)
raw(b'{"t":"done","value":1}')
listen()
