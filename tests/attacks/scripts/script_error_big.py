# attack: an error whose message is larger than a frame
# expect: runtime-denied
# guard: errors.text
# ends: raised ValueError
# off: killed oversize
raise ValueError("x" * 20_000_000)
