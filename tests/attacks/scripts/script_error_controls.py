# attack: control sequences in the message of an error
# expect: harmless
# guard: host.cleaning
raise ValueError("\x1b[2J\x1b]52;c;b3duZWQ=\x07")
