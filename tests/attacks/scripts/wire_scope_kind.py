# attack: wire: a scope of a kind that there is not
# expect: killed protocol
# guard: wire.names
opened(666666, kind="root")
finish()
