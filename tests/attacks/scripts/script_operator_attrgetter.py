# attack: operator.attrgetter reads attributes past the guard
# expect: runtime-denied
# guard: facade.operator
read = getattr(operator, "attrgetter")
log("INTROSPECT", read("__globals__")(json.dumps).keys())
return 1
