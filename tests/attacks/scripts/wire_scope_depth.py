# attack: wire: scopes within scopes without end
# expect: killed protocol
# guard: host.scope_depth
for i in range(1, 90): opened(i, parent=i - 1, kind="budget", title="x" if i < 89 else "FORGED")
finish()
