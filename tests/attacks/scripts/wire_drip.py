# attack: wire: a frame of which a byte comes now and then
# expect: killed stalled
# guard: wire.news
# off: killed timeout
data = framed(b"x" * 1000)
for byte in data:
    write(bytes([byte])); pause(0.2)
