# attack: the module of the operating system's paths behind a pure path
# expect: runtime-denied
# guard: attributes
path = pathlib.PurePosixPath("a")
log("INTROSPECT", getattr(path, "parser", None) or getattr(path, "_flavour"))
return 1
