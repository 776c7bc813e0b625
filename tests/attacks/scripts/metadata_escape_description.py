# attack: control sequences in metadata that is listed
# expect: harmless
# guard: display
meta = {"description": "\x1b]0;owned\x07\x1b[2J", "when_to_use": "\x9b31m", "phases": ["\x1bc"]}
return 1
