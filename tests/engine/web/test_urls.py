"""The one reading of a URL."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vibe_workflows.engine.errors import ToolDenied, ToolFailed
from vibe_workflows.engine.web.urls import MAX_URL_CHARS, read_url, redirected


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://Example.ORG", "https://example.org/"),
        ("HTTP://example.org:80/a?b=c#d", "http://example.org/a?b=c"),
        ("https://example.org:8443/a/../b;p", "https://example.org:8443/a/../b;p"),
        ("https://example.org./x", "https://example.org/x"),
        ("https://example.org/ä?q=ü", "https://example.org/%C3%A4?q=%C3%BC"),
        ("https://example.org/a%20b<c>", "https://example.org/a%20b%3Cc%3E"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://ＥＸＡＭＰＬＥ.org/", "https://example.org/"),
        ("http://93.184.215.14/", "http://93.184.215.14/"),
        ("http://[2606:2800:0021::0001]:80/", "http://[2606:2800:21::1]/"),
        ("https://exam\u200bple.org/", "https://example.org/"),
        ("https://a_b.example/", "https://a_b.example/"),
        ("https://example.org?q", "https://example.org/?q"),
    ],
)
def test_a_url_is_read_in_one_way(text: str, url: str) -> None:
    assert read_url(text).url == url
    assert read_url(url).url == url


def test_a_host_that_is_an_address_is_one() -> None:
    assert read_url("http://127.0.0.1/").literal == IPv4Address("127.0.0.1")
    assert read_url("http://１２７.０.０.１/").literal == IPv4Address("127.0.0.1")
    assert read_url("http://[::FFFF:7f00:1]/").literal == IPv6Address("::ffff:127.0.0.1")
    assert read_url("http://1e100.example/").literal is None


@pytest.mark.parametrize(
    "text",
    [
        *(
            "ftp://example.org/",
            "file:///etc/passwd",
            "gopher://example.org:70/_x",
            "javascript:alert(1)",
            "example.org",
        ),
        *("https://user@example.org/", "https://user:pass@example.org/", "https://@example.org/"),
        *("http://0x7f.1/", "http://0x7f000001/", "http://2130706433/", "http://017700000001/", "http://127.1/"),
        *("http://127.0.0.01/", "http://1.2.3.4.5/", "http://example.0x1/", "http://999.1.1.1/", "http://0/"),
        *("http://[fe80::1%25eth0]/", "http://[fe80::1%eth0]/", "http://[::1.2.3]/", "http://[::1]x/"),
        *("http://exa%6dple.org/", "http://%31%32%37.0.0.1/"),
        *("http://example.org\\@evil.example/", "http://example.org\n/", "http://example.org/a\r\nHost: x"),
        *("http://exam\0ple.org/", "http://example.org/\0", " http://example.org/", "http://example.org/a b"),
        *("http://exa\tmple.org/", "http://example.org/\u2028", "http://example.org/\x85", "http://example.org/\ud800"),
        *(
            "http://-a.example/",
            "http://a..example/",
            "http://.example/",
            "http://exam<ple.org/",
            "http://a,b.example/",
        ),
        *("http://" + "a" * 64 + ".example/", "http://" + "a." * 130 + "example/", "http://" + "ä" * 300 + "/"),
        *("http://xn--a\u0308.example/", "http://\u2024.example/"),
        "https://example.org/" + "x" * MAX_URL_CHARS,
    ],
)
def test_what_no_page_is_fetched_from_is_denied(text: str) -> None:
    with pytest.raises((ToolDenied, ToolFailed)) as refused:
        read_url(text)
    assert isinstance(refused.value, ToolDenied) or "is no URL" in refused.value.message, refused.value
    assert refused.value.message.isascii()
    assert refused.value.message.isprintable()
    assert len(refused.value.message) < 500


@pytest.mark.parametrize(
    "text", ["http://", "https:///path", "http://:80/", "http:example.org", "http://[::1", "http://a:b/"]
)
def test_what_is_no_url_is_told(text: str) -> None:
    with pytest.raises(ToolFailed, match=r"is no URL|names no host"):
        read_url(text)


def test_a_message_tells_no_password() -> None:
    with pytest.raises(ToolDenied) as refused:
        read_url("https://me:hunter2@example.org/")
    assert "hunter2" not in refused.value.message


@given(st.text(max_size=60))
def test_whatever_is_read_names_one_host_that_no_other_reader_can_take_for_another(text: str) -> None:
    try:
        target = read_url("http://" + text)
    except (ToolDenied, ToolFailed):
        return
    assert set(target.url) <= set(map(chr, range(0x21, 0x7F))) - set('\\"<>@` ') or "@" not in target.authority
    assert read_url(target.url) == target


@pytest.mark.parametrize(
    ("location", "url"),
    [
        (b"/b", "https://example.org/b"),
        (b"b?c", "https://example.org/a/b?c"),
        (b"//other.example/x", "https://other.example/x"),
        (b"https://other.example", "https://other.example/"),
        (b" /a b#frag ", "https://example.org/a%20b"),
        ("/ä".encode(), "https://example.org/%C3%A4"),
        (b"\\\\evil.example/", "https://example.org/a/%5C%5Cevil.example/"),
    ],
)
def test_a_redirect_leads_from_where_it_stands(location: bytes, url: str) -> None:
    assert redirected(read_url("https://example.org/a/"), location).url == url


def test_no_redirect_leaves_https_or_carries_a_password() -> None:
    begun = read_url("https://example.org/")
    with pytest.raises(ToolDenied, match="leaves https"):
        redirected(begun, b"http://example.org/")
    with pytest.raises(ToolDenied, match="password"):
        redirected(begun, b"https://u:p@example.org/")
    assert redirected(read_url("http://example.org/"), b"https://example.org/").scheme == "https"
