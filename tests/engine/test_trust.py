"""What a user trusts stays trusted, and nothing else is."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from vibe_workflows.engine.errors import ConfigError
from vibe_workflows.engine.trust import TrustKind, TrustStore, config_offer, trust_digest

CONFIG, WORKFLOW = TrustKind.CONFIG, TrustKind.WORKFLOW


@pytest.fixture
def store(tmp_path: Path) -> TrustStore:
    return TrustStore(tmp_path / "state" / "vibe")


def test_exactly_the_content_that_was_shown_is_trusted_at_its_path(store: TrustStore, tmp_path: Path) -> None:
    path = tmp_path / "vibe.yaml"
    assert not store.trusts(CONFIG, path, b"a")
    store.grant(CONFIG, path, trust_digest(b"a"))
    assert store.trusts(CONFIG, path, b"a")
    assert not store.trusts(CONFIG, path, b"b")
    assert not store.trusts(WORKFLOW, path, b"a")
    assert not store.trusts(CONFIG, tmp_path / "other.yaml", b"a")


def test_a_link_is_trusted_as_what_it_leads_to(store: TrustStore, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    store.grant(CONFIG, tmp_path / "link" / "vibe.yaml", trust_digest(b"a"))
    assert store.trusts(CONFIG, tmp_path / "real" / "vibe.yaml", b"a")


def test_revoking_a_folder_revokes_what_lies_below_it_and_nothing_else(store: TrustStore, tmp_path: Path) -> None:
    project = tmp_path / "project"
    for kind, path in ((CONFIG, project / "vibe.yaml"), (WORKFLOW, project / "workflows" / "a.py")):
        store.grant(kind, path, trust_digest(b""))
    store.grant(CONFIG, tmp_path / "project2" / "vibe.yaml", trust_digest(b""))
    gone = store.revoke(project)
    assert [entry.path for entry in gone] == [str(project / "vibe.yaml"), str(project / "workflows" / "a.py")]
    assert [entry.path for entry in store.entries()] == [str(tmp_path / "project2" / "vibe.yaml")]
    assert store.revoke(project) == ()


def test_only_the_user_can_read_what_is_trusted(store: TrustStore, tmp_path: Path) -> None:
    store.grant(CONFIG, tmp_path / "vibe.yaml", "d")
    folder = tmp_path / "state" / "vibe"
    assert stat.S_IMODE((folder / "trust.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert sorted(path.name for path in folder.iterdir()) == ["trust.json", "trust.lock"]


def test_grants_at_the_same_time_do_not_lose_each_other(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib\n"
        "from vibe_workflows.engine.trust import TrustKind, TrustStore\n"
        "for number in range(20):\n"
        "    path = pathlib.Path(f'/p/{sys.argv[2]}-{number}')\n"
        "    TrustStore(pathlib.Path(sys.argv[1])).grant(TrustKind.CONFIG, path, 'd')\n"
    )
    workers = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path), str(worker)]) for worker in range(3)]
    assert [worker.wait(timeout=60) for worker in workers] == [0, 0, 0]
    assert len(TrustStore(tmp_path).entries()) == 60


DAMAGED = ["{", "[]", '{"format": 1}', '{"format": 1, "trusted": [{"kind": "x"}]}', "[" * 100_000]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_file_trusts_nothing_and_is_not_overwritten(store: TrustStore, tmp_path: Path, content: str) -> None:
    path = tmp_path / "vibe.yaml"
    store.grant(CONFIG, path, trust_digest(b"a"))
    file = tmp_path / "state" / "vibe" / "trust.json"
    file.write_text(content)
    assert not store.trusts(CONFIG, path, b"a")
    with pytest.raises(ConfigError, match="damaged; move it away"):
        store.grant(CONFIG, path, "d")
    assert file.read_text() == content


def test_a_newer_format_is_refused_by_name(store: TrustStore, tmp_path: Path) -> None:
    store.grant(CONFIG, tmp_path / "x", "d")
    (tmp_path / "state" / "vibe" / "trust.json").write_text(json.dumps({"format": 2, "trusted": []}))
    with pytest.raises(ConfigError, match="newer vibe"):
        store.entries()


def test_a_state_folder_that_cannot_be_made_is_an_error_only_for_who_wants_to_trust(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    store = TrustStore(tmp_path / "state" / "vibe")
    assert not store.trusts(CONFIG, tmp_path / "x", b"")
    with pytest.raises(ConfigError, match="XDG_STATE_HOME"):
        store.grant(CONFIG, tmp_path / "x", "d")


def test_the_offer_shows_what_only_trust_lets_count(tmp_path: Path) -> None:
    file = tmp_path / "vibe.yaml"
    assert config_offer(file) is None
    file.write_text("model: a/b\nallow: [write]\nsandbox:\n  accept: weak\nbudget: 5k\ndb:\n")
    offer = config_offer(file)
    assert offer is not None
    assert offer.digest == trust_digest(file.read_bytes())
    assert [(key.name, key.value, key.line) for key in offer.keys] == [
        ("allow", ["write"], 2),
        ("sandbox.accept", "weak", 4),
        ("budget", "5k", 5),
    ]
