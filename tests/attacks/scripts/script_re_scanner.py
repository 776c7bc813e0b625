# attack: re.Scanner gives its callback the scanner, and with it the compiled pattern and its state
# expect: runtime-denied
# guard: facade.re, attributes
scan = getattr(re, "Scanner")([("a", lambda scanner, text: log("INTROSPECT", scanner.match))]).scan
scan("a")
return 1
