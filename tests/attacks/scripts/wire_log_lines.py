# attack: wire: log lines without end
# expect: killed flood
# guard: host.logs
for i in range(600): send(t="log", scope=0, line=1, message="x" if i < 599 else "FORGED")
finish()
