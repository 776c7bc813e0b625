# attack: native: holds 400 MB
# expect: contained
# guard: limit.memory
held = bytearray(400 << 20)
for at in range(0, len(held), 4096): held[at] = 1
log("PWNED holds 400 MB")
