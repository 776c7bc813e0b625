# attack: hashlib.scrypt and pbkdf2_hmac of OpenSSL, which nobody chose
# expect: runtime-denied
# guard: facade.hashlib
log("INTROSPECT", getattr(hashlib, "scrypt"), getattr(hashlib, "new")("md5", b"x"))
return 1
