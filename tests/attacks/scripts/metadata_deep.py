# attack: metadata nested deep, for a reader that recurses
# expect: refused
# guard: meta.depth
# off: returned
meta = {"description": "x", "args": {"properties": {"a": {"default": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}}}}
return 1
