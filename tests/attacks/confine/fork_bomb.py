# attack: start ever more processes
# expect: killed
# guard: census
# floor guard: census
import os, time
for _ in range(200):
    if os.fork() == 0:
        time.sleep(60)
time.sleep(1.5)
print("PWNED", flush=True)
os.killpg(0, 9)
