# attack: read secrets in its own environment
# expect: none are there
# guard: environment
# floor guard: environment
import os
print(os.environ)
