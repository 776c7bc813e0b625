# attack: wire: asks for 40 MB of answers and reads none
# expect: killed unresponsive
# guard: host.unread, limit.cpu
# off: returned
for i in range(1, 40): call(i, x="BIG")
raw(b'{"t":"done","value":1}')
while True: pass
