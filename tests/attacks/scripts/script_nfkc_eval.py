# attack: eval in letters that the parser folds into ASCII
# expect: refused
# guard: policy.builtins, builtins, tripwire
log("INTROSPECT", ｅｖａｌ("().__class__"))
return 1
