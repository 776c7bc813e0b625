# attack: operator.methodcaller calls methods that the guard does not give
# expect: runtime-denied
# guard: facade.operator
call = getattr(operator, "methodcaller")
log("INTROSPECT", call("mro")(int), call("__subclasses__")(int))
return 1
