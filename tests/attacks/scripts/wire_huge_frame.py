# attack: wire: a frame of 20 MB
# expect: killed oversize
# guard: wire.frame_size
# off: killed flood
raw(b'{"t":"log","scope":0,"line":1,"message":"' + b"x" * (20 << 20) + b'"}')
finish()
