"""A virtual machine with a kernel of Debian, its Python, and this project: made of packages, by their names.

Needs `apt-get`, `dpkg-deb` and qemu, and no root. The machine has no disk and no network; it prints to its console.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.foreign.initramfs import pack

ROOT = Path(__file__).resolve().parents[2]

_PACKAGES = (
    "busybox-static", "libbz2-1.0", "libc6", "libcrypt1", "libexpat1", "libffi8", "libgcc-s1", "liblzma5",
    "libncursesw6", "libpython3.11-minimal", "libpython3.11-stdlib", "libreadline8", "libsqlite3-0", "libssl3",
    "libtinfo6", "libuuid1", "python3.11-minimal", "zlib1g",
)  # fmt: skip
_WHEELS = (
    "aiosqlite", "attrs", "click", "idna", "jsonschema", "jsonschema-specifications", "msgspec", "outcome",
    "pathspec", "psutil", "pyyaml", "referencing", "restrictedpython",
    "rpds-py", "sniffio", "sortedcontainers", "trio", "typing-extensions", "xxhash",
)  # fmt: skip
_BOOT_S = 1_500.0
_NOT_NEEDED = ("lib/modules", "usr/lib/modules", "usr/share", "boot")

_INIT = """\
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t securityfs security /sys/kernel/security
/bin/busybox mount -t tmpfs tmp /tmp -o mode=1777
/bin/busybox ip link set lo up
export PYTHONPATH=/site PYTHONDONTWRITEBYTECODE=1 PATH=/usr/bin:/bin LC_ALL=C.UTF-8
/usr/bin/python3.11 -m tests.foreign.proof
/bin/busybox poweroff -f
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One architecture, as each of the tools calls it."""

    debian: str
    qemu: tuple[str, ...]
    console: str
    wheels: str


#: Emulated, even where there is KVM: an old qemu on a new processor does not get through its boot.
KINDS = {
    "aarch64": Kind(
        debian="arm64",
        qemu=("qemu-system-aarch64", "-M", "virt", "-cpu", "max"),
        console="ttyAMA0",
        wheels="manylinux2014_aarch64",
    ),
    "x86_64": Kind(
        debian="amd64",
        qemu=("qemu-system-x86_64", "-M", "q35", "-cpu", "max"),
        console="ttyS0",
        wheels="manylinux2014_x86_64",
    ),
}


def build(kind: Kind, work: Path) -> tuple[Path, Path]:
    """Kernel and initramfs, below `work`; packages that are there from an earlier time are taken again."""
    debs, wheels, tree = work / "debs", work / "wheels", work / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    for folder in (debs, wheels, tree):
        folder.mkdir(parents=True, exist_ok=True)
    if not any(debs.iterdir()):
        _download_packages(kind, work / "apt", debs)
    if not any(wheels.iterdir()):
        _download_wheels(kind, wheels)
    for package in sorted(debs.glob("*.deb")):
        _run("dpkg-deb", "-x", str(package), str(tree))
    (kernel,) = (tree / "boot").glob("vmlinuz-*")
    shutil.move(kernel, work / "kernel")
    for name in _NOT_NEEDED:
        shutil.rmtree(tree / name, ignore_errors=True)
    _install(wheels, tree)
    pack(tree, work / "initramfs")
    return work / "kernel", work / "initramfs"


def boot(kind: Kind, kernel: Path, initramfs: Path, command_line: str) -> Iterator[str]:
    """Start the machine; its console, line by line, until it switches itself off."""
    process = subprocess.Popen(
        [
            "timeout", str(_BOOT_S), *kind.qemu, "-smp", "2", "-m", "2048", "-nographic", "-no-reboot",
            "-kernel", str(kernel), "-initrd", str(initramfs),
            "-append", f"console={kind.console} quiet panic=-1 {command_line}",
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )  # fmt: skip
    assert process.stdout is not None
    try:
        for line in process.stdout:
            yield line.rstrip()
    finally:
        process.terminate()  # `timeout` passes it on
        process.wait()
        process.stdout.close()


def _download_packages(kind: Kind, state: Path, target: Path) -> None:
    """With lists of our own: the packages of another architecture are nothing that this system has to know of."""
    for folder in ("lists/partial", "cache/archives/partial"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    options = [
        f"--option={name}={value}"
        for name, value in {
            "APT::Architecture": kind.debian,
            "APT::Architectures::": kind.debian,
            "Dir::State": state,
            "Dir::State::status": state / "status",
            "Dir::Cache": state / "cache",
        }.items()
    ]
    _run("apt-get", *options, "--quiet=2", "update")
    shown = _run("apt-cache", *options, "show", f"linux-image-{kind.debian}")
    found = re.search(r"^Depends:.*?(linux-image-[^ ,]+)", shown, re.MULTILINE)
    if found is None:
        raise SystemExit(f"apt knows no kernel linux-image-{kind.debian}; a Debian system is needed")
    _run("apt-get", *options, "--quiet=2", "download", found[1], *_PACKAGES, where=target)


def _download_wheels(kind: Kind, target: Path) -> None:
    locked = (ROOT / "requirements-dev.lock").read_text(encoding="utf-8")
    wanted = [line for line in re.findall(r"^\S+==\S+", locked, re.MULTILINE) if line.partition("==")[0] in _WHEELS]
    _run(
        sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
        "--python-version=3.11", f"--platform={kind.wheels}", f"--dest={target}", *wanted,
    )  # fmt: skip


def _install(wheels: Path, tree: Path) -> None:
    """Python's packages, the project as its wheel has it, the tests, and the first program."""
    site = tree / "site"
    for wheel in wheels.glob("*.whl"):
        zipfile.ZipFile(wheel).extractall(site)
    sources = shutil.ignore_patterns("__pycache__")
    for name in ("catalog", "cli", "engine", "sandbox"):
        shutil.copytree(ROOT / name, site / "vibe_workflows" / name, ignore=sources)
    shutil.move(site / "vibe_workflows/sandbox/script", site / "vibe_workflows/script")
    shutil.move(site / "vibe_workflows/sandbox/script_patterns", site / "vibe_workflows/patterns")
    for name in ("attacks", "foreign", "support"):
        shutil.copytree(ROOT / "tests" / name, site / "tests" / name, ignore=sources)
    for name in ("dev", "proc", "sys", "tmp"):
        (tree / name).mkdir()
    init = tree / "init"
    init.write_text(_INIT, encoding="ascii")
    init.chmod(0o755)


def _run(*command: str, where: Path | None = None) -> str:
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command[:1])} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
