# attack: native: fills the disk (with 4 MB)
# expect: contained
# guard: seccomp, landlock, limit.fds, limit.file_size
with open("CANARY_DIR/filler", "wb") as file: file.write(bytes(4 << 20))
log("PWNED 4 MB")
