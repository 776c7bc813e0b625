# attack: native: reads the memory of the engine
# expect: contained
# guard: seccomp, landlock, privileges
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long

buffer = ctypes.create_string_buffer(8)
vector = (ctypes.c_uint64 * 2)(ctypes.addressof(buffer), 8)
there = (ctypes.c_uint64 * 2)(4096, 8)
libc.process_vm_readv(ENGINE_PID, vector, ctypes.c_ulong(1), there, ctypes.c_ulong(1), ctypes.c_ulong(0))
log("PWNED it may: only the address is bad" if ctypes.get_errno() == 14 else f"no {ctypes.get_errno()}")
