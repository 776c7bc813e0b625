"""Which names of a folder git ignores: asked of the checker once, and then known as long as the rules are the same."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from hashlib import blake2b

from msgspec import Struct

from ..keys import DIGEST_BYTES
from ..ports import Checker

_PATHS_PER_CHECK = 5_000


class Rules(Struct, frozen=True, kw_only=True):
    """The .gitignore files that count in one folder: its own and those above."""

    digest: bytes = b""
    texts: Mapping[str, str] = {}  # by folder: "" or ending in a slash

    def with_file(self, folder: str, text: str) -> Rules:
        """The same with the file of a folder below; `folder` is "" or ends in a slash."""
        own = b"%s%d\0%s\0%s" % (self.digest, len(folder), folder.encode(), text.encode("utf-8", "surrogatepass"))
        return Rules(
            digest=blake2b(own, digest_size=DIGEST_BYTES).digest(),
            texts={**self.texts, folder: text},
        )


async def ignored_paths(checker: Checker, asked: Collection[tuple[Rules, Sequence[str]]]) -> dict[str, bool]:
    """Whether each path is ignored under its rules; the paths of folders end in a slash.

    Those that cannot be told are left out: their rules take too long.
    """
    decided: dict[str, bool] = {}
    for texts, paths in _batches(asked):
        try:
            found = set(await checker.ignored(texts, paths))
        except ValueError:
            continue
        decided.update((path, path in found) for path in paths)
    return decided


def _batches(asked: Collection[tuple[Rules, Sequence[str]]]) -> Iterator[tuple[dict[str, str], list[str]]]:
    """Folders together, as far as one request takes them."""
    texts: dict[str, str] = {}
    paths: list[str] = []
    for rules, names in asked:
        for start in range(0, len(names), _PATHS_PER_CHECK):
            part = names[start : start + _PATHS_PER_CHECK]
            if paths and len(paths) + len(part) > _PATHS_PER_CHECK:
                yield texts, paths
                texts, paths = {}, []
            texts.update(rules.texts)
            paths.extend(part)
    if paths:
        yield texts, paths
