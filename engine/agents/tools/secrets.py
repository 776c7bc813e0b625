"""Which files no tool reads or writes, whatever is granted: version control, Vibe's own folder, what looks like a key.

A table and not a scan of contents, so that a refusal can be predicted. Names are compared without regard to case and
to the characters that HFS+ passes over, since `.GIT` and `.g\u200cit` are `.git` on some file systems.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

#: Never read, listed or searched: their contents are machinery, and those of `.git` may hold credentials.
PRIVATE_FOLDERS = frozenset({".git", ".hg", ".svn", ".vibe"})

#: Never written: who writes a hook of `.git`, a workflow of `.vibe`, an agent of `.claude` or a line of `vibe.yaml`
#: decides what runs next, with which grants.
PROTECTED = PRIVATE_FOLDERS | {".claude", "vibe.yaml"}

#: Of an edit under way, or of one whose process was killed: see `writing`.
_TEMPORARY = re.compile(r"\.vibe-tmp-[0-9a-f]{16}")
#: As git guards against it.
_PASSED_OVER = dict.fromkeys([*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF])

_FOLDERS = frozenset({".aws", ".azure", ".gnupg", ".kube", ".password-store", ".ssh"})
_NAMES = frozenset(
    {
        ".boto",
        ".dockercfg",
        ".git-credentials",
        ".htpasswd",
        ".my.cnf",
        ".netrc",
        ".npmrc",
        ".pgpass",
        ".pypirc",
        ".s3cfg",
        ".vault-token",
        "_netrc",
        "application_default_credentials.json",
        "credentials.json",
    }
)
_PREFIXES = (".env", "id_dsa", "id_ecdsa", "id_ed25519", "id_rsa")
_JSON_PREFIXES = ("client_secret", "service-account", "service_account")  # as .json only: service_account.py is code
_SUFFIXES = (".jks", ".kdbx", ".key", ".keystore", ".p12", ".pem", ".pfx", ".ppk")
_PAIRS = frozenset(
    {
        (".cargo", "credentials"),
        (".cargo", "credentials.toml"),
        (".config", "gcloud"),
        (".config", "gh"),
        (".docker", "config.json"),
        (".gem", "credentials"),
    }
)


def folded(name: str) -> str:
    """The name by which rules know a file's name."""
    return (name if name.isascii() else name.translate(_PASSED_OVER)).casefold()


def is_private(name: str) -> bool:
    """Whether no listing shows it."""
    if name.isascii() and not name.startswith("."):
        return False  # nearly all names, of which there may be very many
    return folded(name) in PRIVATE_FOLDERS or is_temporary(name)


def is_temporary(name: str) -> bool:
    """Whether it is the name of the temporary file of an edit."""
    return name.startswith(".vibe-tmp-") and _TEMPORARY.fullmatch(name) is not None


def refusal(parts: Sequence[str]) -> str | None:
    """Why a path below the root is refused, or None. `parts` are its components."""
    names = [folded(part) for part in parts]
    for part in names:
        if is_temporary(part):
            return "it is the temporary file of an edit"
        if part in PRIVATE_FOLDERS:
            return f"`{part}` is not open to tools"
        if part in _FOLDERS:
            return f"`{part}` holds credentials, which tools do not read"
    if any(pair in _PAIRS for pair in pairwise(names)):
        return "it holds credentials, which tools do not read"
    # A folder of such a name is refused with all below it.
    if any(_is_secret_name(part) for part in names):
        return "it looks like a secret (key, password or token file), which tools do not read"
    return None


def write_refusal(parts: Sequence[str]) -> str | None:
    """Why no tool writes a path below the root that may be read, or None."""
    for part in parts:
        name = folded(part)
        if name in PROTECTED:
            return f"no tool writes `{name}`, whatever is granted: it decides what runs here; ask the person to do it"
    return None


def _is_secret_name(name: str) -> bool:
    if name in _NAMES or name.startswith(_PREFIXES) or name.endswith(_SUFFIXES):
        return True
    return name.startswith(_JSON_PREFIXES) and name.endswith(".json")
