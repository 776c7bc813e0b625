# attack: queue what the filter does not see
# expect: no such call
# guard: seccomp
# floor guard: seccomp
# needs: io_uring
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
parameters = ctypes.create_string_buffer(120)
if libc.syscall(425, 4, parameters) >= 0:
    print("PWNED")
