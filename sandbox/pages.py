"""Pages of the web, decoded and made readable in the locked worker."""

from __future__ import annotations

import base64
import codecs
import re
from collections.abc import Callable
from typing import Any

#: Encodings that pages have. Not those of Python that unpack, evaluate or turn: `zip`, `unicode_escape`, `rot13`.
_ENCODINGS = re.compile(
    r"utf-8|utf-16(-[lb]e)?|iso8859-\d+|cp(437|85\d|86\d|874|932|949|125[0-8])|koi8-[rut]|mac-(roman|cyrillic)"
    r"|gb(2312|k|18030)|big5(hkscs)?|euc_(jp|kr)|iso2022_(jp|kr)|shift_jis|tis-620|johab"
)
#: What the web means by a name is more than what it says.
_WIDER = {"ascii": "cp1252", "iso8859-1": "cp1252", "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932",
          "euc_kr": "cp949", "iso8859-9": "cp1254", "tis-620": "cp874"}  # fmt: skip
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_META = re.compile(rb"""<meta[^>]{0,500}?charset\s{0,20}=\s{0,20}["']?\s{0,20}([a-zA-Z0-9_.:-]{1,40})""", re.IGNORECASE)
_META_BYTES = 1_024  # where a page has to say it
_TITLE_CHARS = 300


def load() -> dict[str, Callable[..., Any]]:
    page(base64.b64encode(b"<title>t</title><ul><li><a href=x>y</a></ul>").decode(), "", True, 100)
    for name in ("cp1252", "utf-16-le", "gb18030", "cp932", "big5", "euc_jp", "iso2022_jp", "cp949"):
        b"".decode(name)  # each is a module of its own, and once the lock is on there are no files
    for number in (*range(2, 9), 10, 13, 14, 15, 16):
        b"".decode(f"iso8859-{number}")
    for name in (*range(1250, 1259), 437, 850, 852, 866, 874):
        b"".decode(f"cp{name}")
    for name in ("koi8-r", "koi8-u", "mac-roman", "mac-cyrillic", "euc_kr", "big5hkscs", "utf-16", "utf-16-be"):
        b"".decode(name)
    return {"page": page}


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
    try:
        found = codecs.lookup(name).name if name else ""
    except (LookupError, ValueError, ImportError):  # unknown, or a module that was not loaded before the lock
        return None
    found = _WIDER.get(found, found)
    return found if _ENCODINGS.fullmatch(found) else None


def _readable(html: str) -> tuple[str, str]:
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.html import HTMLTree

    try:
        tree = HTMLTree.parse(html)
        title = " ".join((tree.title or "").split())
        return title, extract_plain_text(tree, preserve_formatting=True, links=True, alt_texts=True, list_bullets=True)
    except ValueError as error:  # any text is HTML: what the parser cannot take has no room
        raise MemoryError from error
