"""Config files of a person and of a project, and the settings that they come to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vibe_workflows.engine.config import Settings, load_settings
from vibe_workflows.engine.errors import ConfigError
from vibe_workflows.engine.trust import TrustKind, TrustStore, config_offer


class Place:
    """A home and a project on disk."""

    def __init__(self, root: Path) -> None:
        self.home, self.project = root / "home", root / "project"
        self.user_file = self.home / ".config" / "vibe" / "config.yaml"
        self.project_file = self.project / "vibe.yaml"
        self.user_file.parent.mkdir(parents=True)
        (self.project / ".git").mkdir(parents=True)

    def user(self, text: str) -> None:
        self.user_file.write_text(text)

    def vibe_yaml(self, text: str) -> None:
        self.project_file.write_text(text)

    def load(self, environ: dict[str, str] | None = None, cwd: Path | None = None, **flags: Any) -> Settings:
        held = {"HOME": str(self.home), **(environ or {})}
        return load_settings(cwd=cwd or self.project, environ=held, flags=flags)

    def error(self, environ: dict[str, str] | None = None, **flags: Any) -> str:
        with pytest.raises(ConfigError) as caught:
            self.load(environ, **flags)
        return caught.value.message

    def trust(self) -> None:
        offer = config_offer(self.project_file)
        assert offer is not None
        TrustStore(self.load().state_dir).grant(TrustKind.CONFIG, offer.path, offer.digest)
