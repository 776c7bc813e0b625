"""What the web tools of a run share. What it takes to reach the web is loaded when a tool first does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

#: How long counts what the web said, where its step says nothing else: nobody can verify it later.
WEB_TTL_S = 24 * 3_600.0

if TYPE_CHECKING:
    from ...config_web import SearchProvider
    from ...web.dialing import Dialer
    from ...web.fetching import Fetcher
    from ...web.search import Searcher


class WebAccess:
    """`allow_hosts`, `proxy` and `provider` are the person's; `environ` is where the provider's key lies."""

    def __init__(
        self,
        *,
        allow_hosts: Sequence[str],
        provider: SearchProvider | None,
        environ: Mapping[str, str],
        proxy: str | None = None,
    ) -> None:
        self._allow_hosts = allow_hosts
        self._provider = provider
        self._environ = environ
        self._proxy = proxy

    @cached_property
    def fetcher(self) -> Fetcher:
        from ...web.fetching import Fetcher

        return Fetcher(self.dialer())

    @cached_property
    def searcher(self) -> Searcher | None:
        if self._provider is None:
            return None
        from ...web.search import Searcher

        return Searcher(self._provider, self.fetcher, self._environ)

    def dialer(self) -> Dialer:
        from ...web.addresses import AllowedHosts
        from ...web.dialing import Dialer, SystemResolver, system_tls

        return Dialer(AllowedHosts(self._allow_hosts), SystemResolver(), system_tls, self._proxy or "")
