"""Which addresses pages are fetched from."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vibe_workflows.engine.web.addresses import AllowedHosts, refusal
from vibe_workflows.engine.web.urls import read_url

INSIDE = [
    *("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "127.0.0.1", "127.255.255.254", "100.64.0.1"),
    *("198.18.0.1", "::1", "fc00::1", "fd12:3456::1", "::ffff:10.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::a00:1"),
]
NEVER = [
    *("0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.0.1", "192.0.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1"),
    *(
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "192.88.99.1",
        "168.63.129.16",
        "100.100.100.200",
    ),
    *("::", "fe80::1", "fe80::1%eth0", "febf::1", "ff02::1", "2001:db8::1", "2001::1", "2001:0:4136:e378::1"),
    *("2002:7f00:1::", "2002:5db8:d70e::1", "3fff::1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "fd00:ec2::254"),
    *("::127.0.0.1", "64:ff9b:1::1", "fec0::1", "100::1", "5f00::1", "4000::1", "2001:10::1", "2001:20::1"),
]
PUBLIC = [
    *("1.1.1.1", "93.184.215.14", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1", "223.255.255.255"),
    *("2606:4700::1111", "2a00:1450::1", "2001:4860:4860::8888", "::ffff:93.184.215.14", "64:ff9b::5db8:d70e"),
]


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_of_ones_own_network_needs_a_host_that_the_person_named(address: str) -> None:
    assert refusal(ip_address(address), inside=False).startswith(str(ip_address(address)))
    assert refusal(ip_address(address), inside=True) == ""


@pytest.mark.parametrize("address", NEVER)
def test_where_no_page_lies_nothing_is_fetched_whoever_named_the_host(address: str) -> None:
    for inside in (False, True):
        assert refusal(ip_address(address), inside=inside).startswith(str(ip_address(address)))


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_taken(address: str) -> None:
    assert refusal(ip_address(address), inside=False) == ""


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_no_address_that_python_knows_as_not_global_is_taken(address: IPv4Address) -> None:
    if not address.is_global or address.is_multicast:
        assert refusal(address, inside=False)
        for form in (f"::ffff:{address}", f"64:ff9b::{address}"):
            assert refusal(IPv6Address(form), inside=False)


@given(
    st.integers(0, 2**128 - 1).map(IPv6Address) | st.integers(0, 2**125 - 1).map(lambda n: IPv6Address(n | 1 << 125))
)
def test_no_ipv6_address_that_python_knows_as_not_global_is_taken(address: IPv6Address) -> None:
    if not address.is_global or address.is_multicast:
        assert refusal(address, inside=False) or address.ipv4_mapped


def test_a_port_is_one_of_the_webs_or_was_named() -> None:
    allowed = AllowedHosts(["wiki.corp", "localhost:8000", "[::1]:8080"])
    for url in ("http://a.example/", "https://a.example/", "http://a.example:443/", "http://localhost:8000/"):
        assert allowed.port_refusal(read_url(url)) == ""
    assert allowed.port_refusal(read_url("http://[0:0::1]:8080/")) == ""
    for url in ("http://a.example:8000/", "http://wiki.corp:8000/", "http://localhost:22/"):
        assert "only ports 80 and 443" in allowed.port_refusal(read_url(url))


def test_a_host_is_named_with_its_port() -> None:
    allowed = AllowedHosts(["wiki.corp", "localhost:8000"])
    named = ("http://wiki.corp/", "https://WIKI.corp./", "http://localhost:8000/")
    assert all(allowed.names(read_url(url)) for url in named)
    others = ("http://localhost/", "http://x.wiki.corp/", "http://localhost:8001/", "http://wiki.corp:8000/")
    assert not any(allowed.names(read_url(url)) for url in others)
