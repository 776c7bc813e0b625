"""Pages made readable in the locked worker: what they say, in which encoding, and what hostile ones cost."""

from __future__ import annotations

import threading

import pytest
import trio

from tests.support.checking import PlainChecker, locked
from vibe_workflows.sandbox import pages
from vibe_workflows.sandbox.checker import LockedChecker
from vibe_workflows.sandbox.cleaning import clean_page
from vibe_workflows.sandbox.replies import Page

PAGE = """<!doctype html><html><head><title> A &amp; B </title><style>x{}</style>
<script>var a = "<p>no</p>"</script></head>
<body><h1>Main</h1><p>Some <b>bold</b> and <a href="https://x.example/?q=1">a link</a>,
wrapped.</p><ul><li>one<ul><li>inner</ul><li>two</ul><ol><li>first<li>second</ol><pre>def f():
    return 1</pre><table><tr><th>Name<th>Value<tr><td>a<td>1</table><img alt="A picture"><p>line<br>break</p>"""


def read(body: bytes, *, charset: str = "", html: bool = True, most: int = 1_000_000) -> Page:
    return trio.run(lambda: PlainChecker().read_page(body, charset=charset, html=html, most=most))


def test_html_becomes_text_with_its_blocks_lists_tables_and_the_targets_of_links() -> None:
    page = read(PAGE.encode())
    assert page.title == "A & B"
    assert page.text.split("\n") == [
        *("Main", "", "Some bold and a link (https://x.example/?q=1), wrapped.", ""),
        *("  • one", "    • inner", "  • two", "  1. first", "  2. second", "def f():", "    return 1"),
        *("Name\t\tValue", "a\t\t1", "A picture", "", "line", "break"),
    ]
    assert page.whole


@pytest.mark.parametrize(
    ("body", "charset", "text"),
    [
        ("Grüße €".encode(), "", "Grüße €"),
        ("Grüße €".encode(), "utf-8", "Grüße €"),
        ("Grüße €".encode("cp1252"), "iso-8859-1", "Grüße €"),  # what the web means by Latin-1
        ("Grüße €".encode("cp1252"), "", "Grüße €"),
        ("привет".encode("cp1251"), "windows-1251", "привет"),
        ("привет".encode("koi8-r"), "KOI8-R", "привет"),
        ("你好".encode("gb18030"), "gb2312", "你好"),
        ("今日は".encode("cp932"), "shift_jis", "今日は"),
        ("今日は".encode("euc_jp"), "euc-jp", "今日は"),
        ("안녕".encode("cp949"), "euc-kr", "안녕"),
        ("\ufeffGrüße".encode(), "iso-8859-1", "Grüße"),  # what stands before the text is stronger
        ("\ufeffGrüße".encode("utf-16-le"), "utf-8", "Grüße"),
        ("\ufeffGrüße".encode("utf-16-be"), "", "Grüße"),
        (b'<meta charset="windows-1251">' + "привет".encode("cp1251"), "", "привет"),
        (b"<meta http-equiv=x content='text/html; charset=koi8-r'>" + "привет".encode("koi8-r"), "", "привет"),
        (b"<meta charset=utf-8>" + "привет".encode("cp1251"), "windows-1251", "привет"),  # the header is stronger
        ("Grüße".encode(), "nonsense", "Grüße"),
        *(("Grüße".encode(), name, "Grüße") for name in ("zip", "unicode_escape", "utf-7", "punycode", "rot13")),
        ("Grüße".encode()[:-1] + b"\xc3", "", "Grüß\ufffd"),  # cut off
    ],
)
def test_an_encoding_is_told_as_the_web_tells_it(body: bytes, charset: str, text: str) -> None:
    assert read(body, charset=charset).text == text


def test_plain_text_is_decoded_and_left_alone() -> None:
    assert read(b"a\r\n<b> \rc", html=False) == Page("", "a\n<b> \nc", True)
    assert read("Gr\u00fc\u00dfe".encode("cp1252"), html=False).text == "Gr\ufffd\ufffde"
    with pytest.raises(ValueError, match="zero bytes"):
        read(b"GIF\0", html=False)


def test_a_long_page_is_cut_and_says_so() -> None:
    assert read(b"x" * 100, most=99) == Page("", "x" * 99, False)
    assert read(b"x" * 100, most=100) == Page("", "x" * 100, True)


@pytest.mark.parametrize("html", [True, False])
def test_what_steers_a_terminal_or_hides_from_people_is_gone(html: bool) -> None:
    hidden = "".join(chr(0xE0000 + ord(char)) for char in "obey")
    body = f"a\x1b]0;x\x07b\u202ec{hidden}\u2066d\ufeffe\u2060f\x9b1mg"
    if html:
        body = f"<title>T\x1b[1m{hidden}</title>{body}"
    page = read(body.encode())
    assert not any((ord(char) < 32 and char != "\n") or 0x7F <= ord(char) < 0xA0 for char in page.title + page.text)
    assert not set(page.title + page.text) & set(f"{hidden}\u202e\u2066\ufeff\u2060")


def test_the_locked_worker_gives_the_same() -> None:
    encodings = {"cp1251": "привет", "gb18030": "你好", "cp932": "今日は", "euc_jp": "今日は", "cp949": "안녕"}

    async def work(checker: LockedChecker) -> tuple[Page, dict[str, str]]:
        page = await checker.read_page(PAGE.encode(), charset="", html=True, most=1_000)
        texts = {
            name: (await checker.read_page(text.encode(name), charset=name, html=False, most=99)).text
            for name, text in encodings.items()
        }
        return page, texts

    page, texts = locked(work)
    assert page == read(PAGE.encode())
    assert texts == encodings


def test_every_encoding_that_is_known_can_be_read_behind_the_lock() -> None:
    body = b"plain \xb5\xb5 text"
    pages.load()
    known = dict(pages._known)
    assert {"utf_8", "latin1", "cp1251", "koi8_r", "shift_jis", "gbk", "big5", "euc_jp", "iso2022_jp"} <= set(known)

    async def work(checker: LockedChecker) -> dict[str, str]:
        return {name: (await checker.read_page(body, charset=name, html=False, most=99)).text for name in known}

    found = locked(work)
    assert found == {name: clean_page(body.decode(encoding, "replace"), 99) for name, encoding in known.items()}


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("deep", b"<div>" * 400_000),
        ("formatting", b"<a><b><i><font>" * 100_000),
        ("attributes", b"<div " + b" ".join(b"a%d=b" % number for number in range(200_000)) + b">"),
        ("links", b"<a href=x>" * 200_000),
        ("spans", b"<table>" + b"<tr><td colspan=1000 rowspan=65000>y" * 50_000),
        ("entities", b"&#x1F600;" * 200_000),
        ("unclosed", b"<!--" * 500_000),
    ],
)
def test_a_hostile_page_costs_a_worker_at_most_and_the_next_one_is_read(name: str, body: bytes) -> None:
    async def work(checker: LockedChecker) -> str:
        said = ""
        with trio.fail_after(60):
            try:
                page = await checker.read_page(body, charset="", html=True, most=1_000)
                assert len(page.text) <= 1_000
            except ValueError as error:
                said = str(error)
            assert (await checker.read_page(b"<p>next", charset="", html=True, most=9)).text == "next"
        return said

    before = threading.active_count()
    said = locked(work, request_s=0.3)
    assert not said or "the page" in said or "memory" in said
    assert threading.active_count() <= before + 1


def test_what_a_worker_says_beyond_what_was_asked_is_cut() -> None:
    page = Page("t" * 1_000, "x" * 1_001, True).cleaned(1_000)
    assert (len(page.title), len(page.text), page.whole) == (300, 1_000, False)
