# attack: the importer itself, asked for a module that no facade stands for
# expect: refused
# guard: policy.names, import
log("INTROSPECT", _import_("os", None))
return 1
