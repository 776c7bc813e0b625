"""What both ends of the wire agree on, and the layers of wall 2 by name.

Children load this, and not the limits beside it: making their classes takes two milliseconds of a cold start.
"""

from __future__ import annotations

MIB = 1 << 20

#: Largest body of a frame, either way. Part of the wire format: the child refuses more, too.
MAX_FRAME = 16 * MIB
#: Deepest JSON that crosses the wire, so that nothing behind it meets a recursion limit.
MAX_JSON_DEPTH = 200
#: Arrays and objects in one frame: `[[],[],...]` costs the reader twenty times its size.
MAX_CONTAINERS = 500_000
#: Numbers with an exponent of three digits in one frame: `1.797e308` takes a reader 250 times as long as others.
MAX_SLOW_NUMBERS = 10_000
#: Largest frame of a log.
MAX_LOG = MIB
#: Ids stay exact in every JSON reader.
MAX_ID = 1 << 53
#: Longest message of a log.
MESSAGE_CHARS = 8_192

LANDLOCK, SECCOMP, PRIVILEGES, PIDFD = "landlock", "seccomp", "privileges", "pidfd"
#: Where it is missing, the host measures what a child holds, and ends it.
ADDRESS_SPACE = "address_space"
#: The layers of wall 2 that a fork request can switch off, to test what the rest holds.
ALL_LAYERS = frozenset({LANDLOCK, SECCOMP, PRIVILEGES, PIDFD, ADDRESS_SPACE})
