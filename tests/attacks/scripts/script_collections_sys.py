# attack: modules that a module of the standard library imports under hidden names
# expect: runtime-denied
# guard: facade.collections, facade.statistics, facade.urllib.parse
for module, name in ((collections, "_sys"), (statistics, "sys"), (urllib.parse, "sys")):
    log("INTROSPECT", getattr(module, name))
return 1
