# attack: wire: calls without end, one after the other
# expect: killed flood
# guard: host.calls
for i in range(1, 3_100):
    call(i if i < 3_099 else 666666); os.read(3, 1 << 16)
finish()
