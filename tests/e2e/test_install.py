"""The wheel is whole, and works from any folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, Machine

_IMPORTS = (
    "import vibe_workflows.cli.main as m, vibe_workflows.script as s, vibe_workflows.patterns as p; "
    "print(m.__file__, s.__file__, p.__file__, p.majority(['y', 'n', 'y'], 'y'.__eq__))"
)
SHIPPED = ("catalog", "cli", "engine", "sandbox", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, without the network, and unpacked as an installer would."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in SHIPPED:
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, source / name)
    build = "from setuptools.build_meta import build_wheel; print(build_wheel('..'))"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    installed = folder / "installed"
    zipfile.ZipFile(built).extractall(installed)
    return installed


def test_an_installed_wheel_runs_workflows_from_any_folder(wheel: Path, new_machine: Machine) -> None:
    new_machine.environ |= {"PYTHONPATH": str(wheel), "PYTHONSAFEPATH": "1"}
    where = subprocess.run(
        [
            sys.executable,
            "-c",
            _IMPORTS,
        ],
        cwd=new_machine.project,
        env=new_machine.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert where.stdout.count(str(wheel)) == 3
    assert where.stdout.endswith(" yes\n")
    # A user's own folders of the same names are nobody's business.
    for name in ("engine", "sandbox", "cli", "catalog", "vibe_workflows"):
        new_machine.write(f"{name}/__init__.py", "raise RuntimeError('the user's own code ran')")
    new_machine.write("flow.py", 'async def main(args):\n    return await agent("hello")\n')
    ran = new_machine.vibe("run", "flow.py")
    assert ran.code == 0, ran.err
    assert ran.out.startswith("[offline]")
    assert "primitives" in new_machine.vibe("guide").out
    assert "multi-review" in new_machine.vibe("list").out
    assert new_machine.vibe("new", "mine", "--from", "vote").code == 0
    assert (new_machine.project / "workflows/mine.py").read_text().startswith('"""Let several judges')


def test_a_wheel_ships_types_migrations_the_guide_and_no_tests(wheel: Path) -> None:
    shipped = {path.relative_to(wheel).as_posix() for path in wheel.rglob("*") if path.is_file()}
    assert "vibe_workflows/script/py.typed" in shipped
    assert "vibe_workflows/patterns/py.typed" in shipped
    assert "vibe_workflows/engine/store/migrations/0001.sql" in shipped
    assert "vibe_workflows/cli/guide.md" in shipped
    assert "vibe_workflows/catalog/workflows/multi_review.py" in shipped
    for template in ("fan_out", "pipeline", "loop", "vote"):
        assert f"vibe_workflows/catalog/templates/{template}.py" in shipped
    tops = {name.partition("/")[0] for name in shipped}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"vibe_workflows"}
