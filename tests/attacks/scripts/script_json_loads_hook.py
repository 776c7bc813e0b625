# attack: json.loads with hooks of its own: object_hook, parse_constant, cls
# expect: runtime-denied
# guard: facade.json
json.loads('{"a": NaN}', parse_constant=lambda text: log("INTROSPECT", text), object_hook=dict)
json.loads("1", cls=lambda **hooks: log("INTROSPECT", hooks))
return 1
