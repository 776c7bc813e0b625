# attack: read shared memory of this user's other processes
# expect: no such segment, or denied
# guard: ipc, seccomp
# floor guard: seccomp
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
segment = libc.shmget(SHM_KEY, 0, 0)
if segment >= 0:
    print(ctypes.string_at(libc.shmat(segment, None, 0o10000)).decode())
