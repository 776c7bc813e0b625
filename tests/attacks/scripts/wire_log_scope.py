# attack: wire: a log line in a scope that never was
# expect: killed protocol
# guard: wire.scopes
send(t="log", scope=9, line=1, message="FORGED")
finish()
