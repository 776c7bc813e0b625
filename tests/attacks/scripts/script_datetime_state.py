# attack: a date from its pickled state, beyond the calendar: C code reads outside of its tables
# expect: contained
# guard: none
# why: the process is the guard, and no test can do without it; the constructor in C cannot be taken away from the class
day = datetime.date(b"\x00\x00\x01\x01")
log(len(day.ctime()), len(day.strftime("%a %j")))
return datetime.datetime(b"\xff\xff\x0c\xff\xff\xff\xff\xff\xff\xff").ctime()
