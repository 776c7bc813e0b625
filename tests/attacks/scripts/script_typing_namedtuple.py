# attack: typing.NamedTuple and NewType make classes
# expect: runtime-denied
# guard: facade.typing, tripwire
log("INTROSPECT", getattr(typing, "NamedTuple")("Point", [("x", int)]), getattr(typing, "Protocol"))
return 1
