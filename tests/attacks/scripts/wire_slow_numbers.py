# attack: wire: a result of numbers that each take ten microseconds to read
# expect: killed protocol
# guard: wire.slow_numbers
# off: returned
raw(b'{"t":"done","value":[' + b"1.797e308," * 20000 + b"1]}")
listen()
