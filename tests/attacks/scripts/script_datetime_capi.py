# attack: the C interface of datetime, and tzinfo, whose methods datetime calls back
# expect: runtime-denied
# guard: facade.datetime
log("INTROSPECT", getattr(datetime, "tzinfo")(), getattr(datetime, "datetime_CAPI"))
return 1
