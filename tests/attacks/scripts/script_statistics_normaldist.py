# attack: NormalDist.from_samples makes instances of a class that anybody may reach
# expect: runtime-denied
# guard: facade.statistics
log("INTROSPECT", getattr(statistics, "NormalDist")(0, 1), getattr(statistics, "Fraction"))
return 1
