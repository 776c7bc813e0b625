# attack: write a file that grows without end
# expect: too large
# guard: limits
# floor guard: limits
open("PROJECT/sub/big", "wb").write(bytes(16 << 20))
print("PWNED")
