"""Numbers as people read them: tokens, money, durations, ages. Micro-dollars and seconds in, short text out."""

from __future__ import annotations

_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR


def tokens(count: int) -> str:
    """950, 12.3k, 4.1M."""
    if count < 1000:
        return str(count)
    if count < 999_950:
        return f"{count / 1000:.1f}k"
    return f"{count / 1_000_000:.1f}M"


def byte_size(count: int) -> str:
    """812 bytes, 12.3 kB, 4.0 MB."""
    if count < 1000:
        return f"{count} byte" if count == 1 else f"{count} bytes"
    if count < 999_950:
        return f"{count / 1000:.1f} kB"
    return f"{count / 1_000_000:.1f} MB"


def money(microusd: int | None) -> str:
    """$0.03; $0.0004 below a cent; $? where no price is known."""
    if microusd is None:
        return "$?"
    if microusd == 0:
        return "$0.00"
    if microusd < 100:
        return "<$0.0001"
    digits = 4 if microusd < 10_000 else 2
    return f"${microusd / 1_000_000:,.{digits}f}"


def duration(seconds: float) -> str:
    """0.2s, 42s, 3m05s, 1h02m."""
    if seconds < 0.9995:
        return f"{max(seconds, 0) * 1000:.0f}ms"
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m{whole % _MINUTE:02}s"
    return f"{whole // _HOUR}h{whole % _HOUR // _MINUTE:02}m"


def age(seconds: float) -> str:
    """The largest whole unit: 40 seconds, 5 minutes, 3 hours, 9 days."""
    for unit, name in ((_DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute")):
        if seconds >= unit:
            return count(int(seconds // unit), name)
    return count(max(int(seconds), 0), "second")


def count(number: int, noun: str) -> str:
    """1 step, 1,200 steps."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
