# attack: read the engine's memory
# expect: no such process, or denied
# guard: pids, landlock, user, seccomp
# floor guard: landlock, seccomp
# needs: root
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.process_vm_readv.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong)
class Piece(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))
data = ctypes.create_string_buffer(16)
here = Piece(ctypes.addressof(data), 16)
there = Piece(ENGINE_ADDRESS, 16)
if libc.process_vm_readv(ENGINE_PID, ctypes.byref(here), 1, ctypes.byref(there), 1, 0) == 16:
    print("PWNED")
