# attack: take ever more memory
# expect: killed
# guard: census
# floor guard: census
import time
taken = b"x" * (400 << 20)
time.sleep(1.5)
print("PWNED")
