# attack: collections.namedtuple makes a class by evaluating source
# expect: runtime-denied
# guard: facade.collections, tripwire
make = getattr(collections, "namedtuple")
log("INTROSPECT", make("Point", "x y"))
return 1
