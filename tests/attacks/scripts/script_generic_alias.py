# attack: list[...] keeps what it is given, and has the attributes of list
# expect: runtime-denied
# guard: attributes
alias = list[agent]
log("INTROSPECT", getattr(alias, "__origin__"), getattr(alias, "mro")())
return 1
