# attack: json.dumps(cls=...) calls whatever it is given, with its hooks
# expect: runtime-denied
# guard: facade.json
json.dumps(1, cls=lambda **hooks: log("INTROSPECT", hooks))
return 1
