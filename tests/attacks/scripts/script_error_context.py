# attack: from an error to the one before it, and on to where it was raised
# expect: runtime-denied
# guard: attributes
try:
    try:
        json.loads("{")
    except ValueError:
        1 / 0
except ZeroDivisionError as error:
    log("INTROSPECT", getattr(error, "__context__"), getattr(error, "__traceback__"))
return 1
