"""Fixtures of the tests of cancelling."""

from __future__ import annotations

from tests.support.model_server_plugin import model_server
from tests.support.zygotes import zygote

__all__ = ["model_server", "zygote"]
