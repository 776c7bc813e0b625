# attack: native: waits for a lock that nobody holds, with a time limit: a sleep without a system call for it
# expect: killed stalled
# guard: host.stall
# off: killed timeout
import _thread
lock = _thread.allocate_lock()
lock.acquire()
lock.acquire(True, 900)
