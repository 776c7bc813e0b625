# attack: wire: says now and then that it is idle, and lives for ever
# expect: killed stalled
# guard: wire.news, host.stall
# off: killed timeout
while True:
    send(t="idle"); pause(0.2)
