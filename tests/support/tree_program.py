"""The program that steps of generated workflows run. It is handed to Python as text, or called in this process.

What it prints and writes holds a digest of the files that it looks at, so that a stale look shows.
"""

import hashlib
import os
import sys


def main(root: str, arguments: list[str]) -> tuple[int, str]:
    """`arguments`: the ending of the files to look at, how it ends, a text, and what to do: pairs of a verb and a path.

    Gives the exit code, and what it says. "red" ends with 1 for half of all digests.
    """
    ending, kind, text, *deeds = arguments
    seen = digest_of(root, ending)
    for verb, path in zip(deeds[::2], deeds[1::2], strict=True):
        change(os.path.join(root, path), root, verb, f"{seen} {text}\n")
    return int(kind == "red" and int(seen[0], 16) % 2), seen


def digest_of(root: str, ending: str) -> str:
    digest = hashlib.blake2b(digest_size=6)
    for place, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.endswith(ending) and not name.endswith((".log", ".yaml")) and not name.startswith("."):
                path = os.path.join(place, name)
                with open(path, "rb") as file:
                    digest.update(repr((os.path.relpath(path, root), file.read())).encode())
    return digest.hexdigest()


def change(path: str, root: str, verb: str, line: str) -> None:
    if verb == "remove":
        if os.path.exists(path):
            os.unlink(path)
            folder = os.path.dirname(path)
            while folder != root and not os.listdir(folder):
                os.rmdir(folder)
                folder = os.path.dirname(folder)
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "a" if verb == "append" else "w") as file:
        file.write(line)


if __name__ == "__main__":
    code, said = main(os.getcwd(), sys.argv[1:])
    print(said)
    sys.exit(code)
