# attack: ** in metadata hides keys from the eye
# expect: refused
# guard: meta.keys
# off: returned
meta = {"description": "x", **{"permissions": ["command"]}}
return 1
