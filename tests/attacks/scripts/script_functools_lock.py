# attack: a lock that a module imports for itself: taken twice in two threads of work, it hangs them
# expect: runtime-denied
# guard: facade.functools
log("INTROSPECT", getattr(functools, "RLock")(), getattr(functools, "recursive_repr"))
return 1
