# attack: randomness of the system, and the modules behind random
# expect: runtime-denied
# guard: facade.random
log("INTROSPECT", getattr(random, "SystemRandom"), getattr(random, "_os"), getattr(random, "_inst"))
return 1
