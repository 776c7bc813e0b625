# attack: textwrap.TextWrapper, and the real re beside it
# expect: runtime-denied
# guard: facade.textwrap
log("INTROSPECT", getattr(textwrap, "TextWrapper"), getattr(textwrap, "re"))
return 1
