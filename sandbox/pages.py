"""Pages of the web, decoded and made readable in the locked worker."""

from __future__ import annotations

import base64
import codecs
import re
from collections.abc import Callable
from typing import Any

#: Encodings that pages have. Not those of Python that unpack, evaluate or turn: `zip`, `unicode_escape`, `rot13`.
_ENCODINGS = re.compile(
    r"utf-8|utf-16(-[lb]e)?|iso8859_\d+|cp(437|85\d|86\d|874|932|949|125[0-8])|koi8_[rut]|mac_(roman|cyrillic)"
    r"|gb18030|big5(hkscs)?|euc_(jp|kr)|iso2022_(jp|kr)|johab"
)
#: What the web means by a name is more than what it says.
_WIDER = {"ascii": "cp1252", "latin_1": "cp1252", "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932",
          "euc_kr": "cp949", "iso8859_9": "cp1254", "tis_620": "cp874"}  # fmt: skip
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_META = re.compile(rb"""<meta[^>]{0,500}?charset\s{0,20}=\s{0,20}["']?\s{0,20}([a-zA-Z0-9_.:-]{1,40})""", re.IGNORECASE)
_META_BYTES = 1_024  # where a page has to say it
_TITLE_CHARS = 300


#: By any name that the encoding has; filled before the lock, since codecs are modules, and behind it are no files.
_known: dict[str, str] = {}


def load() -> dict[str, Callable[..., Any]]:
    _known.update(_known_encodings())
    page(base64.b64encode(b"<title>t</title><ul><li><a href=x>y</a></ul>").decode(), "", True, 100)
    return {"page": page}


def _known_encodings() -> dict[str, str]:
    from encodings.aliases import aliases

    found: dict[str, str] = {}
    for alias, module in aliases.items():
        name = module.replace("_", "-") if module.startswith("utf") else module
        name = _WIDER.get(name, name)
        if _ENCODINGS.fullmatch(name):
            b"a".decode(name, "replace")  # loads it, and what it loads in turn
            found[_bare(alias)] = found[module] = name
    return found


def page(body: str, charset: str, html: bool, most: int) -> dict[str, Any]:
    """`{title, text, whole}`: of a page in base64, `most` characters. Raises ValueError for what is no text."""
    data = base64.b64decode(body)
    text = decode(data, charset, html=html)
    title = ""
    if html:
        title, text = _readable(text)
    elif "\0" in text[:100_000]:
        raise ValueError("it is no text, whatever its type says: there are zero bytes in it")
    return {"title": title[:_TITLE_CHARS], "text": text[:most], "whole": len(text) <= most}


def decode(data: bytes, charset: str, *, html: bool) -> str:
    """By what stands before the text, what the server says, what the page says; else UTF-8, or what Windows wrote."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(name, "replace")
    said = [charset]
    if html and (found := _META.search(data, 0, _META_BYTES)):
        said.append(found[1].decode("ascii"))
    for name in said:
        if known := _encoding(name):
            return data.decode(known, "replace")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        if error.start > len(data) - 4 or not html:
            return data.decode("utf-8", "replace")
        return data.decode("cp1252", "replace")


def _encoding(name: str) -> str | None:
    return _known.get(_bare(name))


def _bare(name: str) -> str:
    return re.sub("[^a-z0-9]+", "_", name.lower())


def _readable(html: str) -> tuple[str, str]:
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.html import HTMLTree

    try:
        tree = HTMLTree.parse(html)
        title = " ".join((tree.title or "").split())
        return title, extract_plain_text(tree, preserve_formatting=True, links=True, alt_texts=True, list_bullets=True)
    except ValueError as error:  # any text is HTML: what the parser cannot take has no room
        raise MemoryError from error
