# attack: start a process in a user namespace
# expect: denied, or none left
# guard: seccomp, user
# floor guard: seccomp
import ctypes, os, signal
number = {"x86_64": 56, "aarch64": 220}[os.uname().machine]
pid = ctypes.CDLL(None).syscall(number, 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0)
if pid == 0:
    os._exit(0)
if pid > 0:
    print("PWNED")
