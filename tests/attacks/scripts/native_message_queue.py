# attack: native: makes a message queue
# expect: contained
# guard: seccomp, limit.queues, limit.fds
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
done = libc.syscall(241, libc.syscall(240, b"vibe-attack", 0o102, 0o600, None) and b"vibe-attack")
log("PWNED message_queue" if done >= 0 else f"no {ctypes.get_errno()}")
