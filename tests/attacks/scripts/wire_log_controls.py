# attack: wire: control characters for a terminal in every text
# expect: contained
# guard: host.cleaning
send(t="log", scope=0, line=1, message="a\x1b[31mb", fields={"k": "\x9b"})
send(t="error", type="x", message="\x1b]0;title\x07")
listen()
