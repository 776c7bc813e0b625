# attack: wire: says that it is idle, without end
# expect: killed flood
# guard: host.received, limit.cpu
# off: killed timeout
call(1, x="NEVER")
data = framed(b'{"t":"idle"}') * 10_000
while True: write(data)
