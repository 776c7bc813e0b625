# attack: type(type(x)) is the class of classes; a class made with it has methods of the script's
# expect: runtime-denied
# guard: type
Evil = type(type(1))("Evil", (str,), {"__eq__": lambda self, other: log("INTROSPECT", other)})
Evil("a") == json
return 1
