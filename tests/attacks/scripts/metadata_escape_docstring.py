# attack: control sequences in the docstring and in titles of phases
# expect: harmless
# guard: display, host.cleaning
"""First \x1b[2J line \x07"""
phase("\x1b[2J")
return 1
