# attack: wire: one line of log with two megabytes of fields
# expect: killed oversize
# guard: wire.log_size
# off: returned
send(t="log", scope=0, line=1, message="much", fields={"a": ["x" * 1000] * 2000})
finish()
