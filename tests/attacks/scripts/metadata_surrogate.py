# attack: text in metadata that is no Unicode
# expect: refused
# guard: meta.json
# off: returned
meta = {"description": "\ud800"}
return 1
