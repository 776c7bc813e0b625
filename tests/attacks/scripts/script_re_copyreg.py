# attack: modules behind re: re.copyreg.__reduce_ex__, re._compiler.dis
# expect: runtime-denied
# guard: facade.re
log("INTROSPECT", getattr(re, "copyreg"), getattr(re, "_compiler"))
return 1
