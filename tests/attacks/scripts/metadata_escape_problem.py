# attack: control sequences in a key that a problem quotes
# expect: refused
# guard: display
meta = {"\x1b[2J\x07": 1}
return 1
