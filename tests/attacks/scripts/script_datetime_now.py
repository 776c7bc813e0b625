# attack: a clock, by which a rerun would see other values
# expect: runtime-denied
# guard: attributes
log("INTROSPECT", getattr(datetime.datetime, "now")(), getattr(datetime.date, "today")())
return 1
