"""python -m tests.foreign MACHINE: what wall 2 holds on a kernel that is not this one. See `--help`."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from tests.foreign.machine import KINDS, boot, build


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.foreign",
        description="Boot a Debian kernel in qemu, and attack locked processes there: as root and as an ordinary user.",
    )
    parser.add_argument("machine", choices=sorted(KINDS))
    parser.add_argument("--work", type=Path, default=Path("build/foreign"), help="where packages and images are kept")
    parser.add_argument("--level", default="strong", help="what the doctor has to find (default: strong)")
    parser.add_argument("--kernel-options", default="", help="for the kernel's command line, such as lsm=capability")
    options = parser.parse_args()
    kind = KINDS[options.machine]
    if missing := [tool for tool in (kind.qemu[0], "apt-get", "dpkg-deb") if shutil.which(tool) is None]:
        raise SystemExit(f"{', '.join(missing)} is not installed; on Debian: apt-get install {_source_of(missing[0])}")
    kernel, initramfs = build(kind, options.work.absolute() / options.machine)
    proven = False
    # The kernel hands what it does not know itself to the first program as environment.
    for line in boot(kind, kernel, initramfs, f"EXPECTED_LEVEL={options.level} {options.kernel_options}"):
        print(line, flush=True)
        proven = proven or line.startswith("PROVEN")
    return 0 if proven else 1


def _source_of(tool: str) -> str:
    return {"qemu-system-aarch64": "qemu-system-arm", "qemu-system-x86_64": "qemu-system-x86"}.get(tool, tool)


if __name__ == "__main__":
    raise SystemExit(main())
