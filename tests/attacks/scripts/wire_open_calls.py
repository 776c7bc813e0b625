# attack: wire: calls that are all open
# expect: killed flood
# guard: host.open_calls
for i in range(1, 1_100): call(i if i < 1_099 else 666666, x="NEVER")
finish()
