# attack: wire: nothing
# expect: killed stalled
# guard: host.stall
# off: killed timeout
os.read(3, 1)
