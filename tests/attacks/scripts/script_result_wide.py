# attack: a result of very many lists, which costs its reader twenty times its size
# expect: harmless
# guard: result
# ends: raised TypeError
# off: killed protocol
return [[]] * 510_000
