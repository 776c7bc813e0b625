# attack: raise a limit again
# expect: denied
# guard: capabilities, user
# floor guard: capabilities
# needs: root
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print("PWNED")
