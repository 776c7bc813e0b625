# attack: wire: log lines of megabytes
# expect: killed flood
# guard: host.logs
for i in range(6): send(t="log", scope=0, line=1, message=("x" if i < 5 else "FORGED") + "x" * 900_000)
finish()
