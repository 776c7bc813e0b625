# attack: typing.get_type_hints evaluates the annotations of an engine function in its globals
# expect: runtime-denied
# guard: facade.typing, tripwire
log("INTROSPECT", getattr(typing, "get_type_hints")(json.dumps))
return 1
