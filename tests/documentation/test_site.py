"""The pages are made from what they describe, and build as a site without a warning."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.documentation.pages import ROOT
from tests.documentation.reference import PAGE, reference, script_error_names
from vibe_workflows.sandbox.names import NOT_YET, PRIMITIVES
from vibe_workflows.script import errors


def test_the_reference_says_what_the_typed_module_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), "run `make docs`, and commit docs/reference.md"


def test_the_reference_has_every_primitive_and_every_error() -> None:
    page = reference()
    for name in PRIMITIVES - NOT_YET:
        assert f"\n### {name}\n" in page
    assert set(script_error_names()) == set(errors.__all__)


def test_the_site_builds_without_a_warning_and_has_every_page(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-d", str(tmp_path / "trees")]
    built = subprocess.run(
        [*argv, "-b", "html", str(ROOT / "docs"), str(tmp_path / "site")],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    for page in (ROOT / "docs").rglob("*.md"):
        assert (tmp_path / "site" / page.relative_to(ROOT / "docs").with_suffix(".html")).is_file()
