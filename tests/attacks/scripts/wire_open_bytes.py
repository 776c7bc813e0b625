# attack: wire: calls that hold megabytes each
# expect: killed flood
# guard: host.open_bytes
for i in range(1, 6): call(i if i < 5 else 666666, x="NEVER" + "x" * (1 << 20))
finish()
