# attack: control sequences for the terminal, in text and fields of a log line
# expect: harmless
# guard: host.cleaning
log("\x1b]0;owned\x07 \x1b[2J\x9b31m", **{"\x1b[1m": "\x08\x7f", "nested": {"\x1bc": ["\x07"]}})
return 1
