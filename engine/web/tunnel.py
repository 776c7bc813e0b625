"""A way through the proxy that the person named: it is asked for an address that was vetted, never for a name."""

from __future__ import annotations

from ipaddress import IPv6Address

import h11
import trio

from ..errors import ToolFailed
from .urls import Address

_MAX_HEAD_BYTES = 16 * 1024
_CHUNK = 4_096


async def open_tunnel(stream: trio.abc.Stream, address: Address, port: int) -> None:
    """Make of a connection to a proxy one to the address. Raises ToolFailed; the connection is then of no more use."""
    host = f"[{address}]" if isinstance(address, IPv6Address) else str(address)
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD_BYTES)
    asked = h11.Request(method="CONNECT", target=f"{host}:{port}", headers=[("Host", f"{host}:{port}")])
    try:
        await stream.send_all((http.send(asked) or b"") + (http.send(h11.EndOfMessage()) or b""))
        event = http.next_event()
        while event is h11.NEED_DATA or isinstance(event, h11.InformationalResponse):
            if event is h11.NEED_DATA:
                http.receive_data(bytes(await stream.receive_some(_CHUNK)))
            event = http.next_event()
    except (h11.RemoteProtocolError, trio.BrokenResourceError, OSError) as error:
        raise ToolFailed(f"the proxy that `web.proxy` names does not answer as a proxy: {error}") from error
    if not isinstance(event, h11.Response) or not 200 <= event.status_code < 300:
        said = f"answers {event.status_code}" if isinstance(event, h11.Response) else "gives no answer"
        raise ToolFailed(f"the proxy that `web.proxy` names {said} when it is asked for {host}:{port}")
    if http.trailing_data[0]:
        raise ToolFailed("the proxy that `web.proxy` names speaks before the server does")
