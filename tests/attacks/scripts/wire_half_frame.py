# attack: wire: half a frame, then silence
# expect: killed stalled
# guard: host.stall
# off: killed timeout
write(b"\x10\0\0\0{")
pause(900)
