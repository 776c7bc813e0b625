"""vibe completion: lets a shell complete what is typed after `vibe`."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import click

_SHELLS = ("bash", "zsh", "fish")
_LOADERS = (  # of bash-completion, which reads the files of its folders when they are needed
    *("/usr/share/bash-completion/bash_completion", "/etc/bash_completion", "/usr/local/etc/bash_completion"),
    *("/opt/homebrew/etc/profile.d/bash_completion.sh", "/usr/local/etc/profile.d/bash_completion.sh"),
)


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS), required=False)
@click.option("--install", is_flag=True, help="Write the script to where the shell looks for it.")
@click.pass_context
def command(ctx: click.Context, shell: str | None, install: bool) -> None:
    """Let bash, zsh or fish complete commands, workflows, their arguments, and runs.

    Without --install the script is printed: `source <(vibe completion bash)` completes in this shell only. Without a
    SHELL, it is the one that $SHELL names.
    """
    from .completing import shells
    from .errors import say
    from .printing import print_text

    chosen = shell or _login_shell(ctx)
    script = shells.script(chosen, ctx.find_root().command)
    if not install:
        print_text(script.rstrip("\n"))
        return
    place = _place(chosen, Path.home(), os.environ)
    state = _write(place.file, script)
    say(f"{place.file}: {state}")
    for line in place.still_to_do:
        say(line)


def program() -> str:
    """The path of this vibe, for a shell that finds none on its PATH."""
    here = Path(sys.executable).with_name("vibe")
    return str(here) if here.is_file() else shutil.which("vibe") or str(here)


def _login_shell(ctx: click.Context) -> str:
    named = Path(os.environ.get("SHELL", "")).name
    if named not in _SHELLS:
        raise click.UsageError("name the shell: vibe completion bash, zsh or fish", ctx)
    return named


class _Place(NamedTuple):
    file: Path
    still_to_do: tuple[str, ...]


def _place(shell: str, home: Path, environ: Mapping[str, str]) -> _Place:
    """Where a shell looks, and what a person has to do so that it does."""
    if shell == "fish":
        file = _folder(environ, "XDG_CONFIG_HOME", home / ".config") / "fish/completions/vibe.fish"
        return _Place(file, ("fish reads it from now on; there is nothing else to do",))
    if shell == "zsh":
        return _zsh(_folder(environ, "ZDOTDIR", home))
    data = _folder(environ, "XDG_DATA_HOME", home / ".local/share") / "bash-completion"
    file = _folder(environ, "BASH_COMPLETION_USER_DIR", data) / "completions/vibe"
    if any(os.path.exists(loader) for loader in _LOADERS):
        return _Place(file, ("new shells read it, by the package bash-completion; there is nothing else to do",))
    return _Place(
        file,
        (
            "the package bash-completion, which would read it, was not found here. Add to ~/.bashrc:",
            f"    source {shlex.quote(str(file))}",
        ),
    )


def _zsh(folder: Path) -> _Place:
    own = folder / ".zfunc"
    file, start = own / "_vibe", folder / ".zshrc"
    try:
        written = start.read_text("utf-8", "replace")
    except OSError:
        written = ""
    if ".zfunc" in written and "compinit" in written:
        return _Place(file, (f"new shells read it, as {start} says; there is nothing else to do",))
    return _Place(
        file,
        (
            f"zsh reads it once its folder is in fpath. Add to {start}, before any other line with compinit:",
            f"    fpath=({shlex.quote(str(own))} $fpath)",
            "    autoload -Uz compinit && compinit",
        ),
    )


def _folder(environ: Mapping[str, str], name: str, otherwise: Path) -> Path:
    """An absolute path from the environment; anything else is not meant for us."""
    given = environ.get(name, "")
    return Path(given) if given.startswith("/") else otherwise


def _write(file: Path, script: str) -> str:
    """What became of it. A file that we did not write is left alone. Raises ConfigError."""
    from vibe_workflows.engine.errors import ConfigError

    from .completing.scripts import MARK

    try:
        before = file.read_text("utf-8") if file.exists() else None
        if before == script:
            return "written already"
        if before is not None and MARK not in before:
            raise ConfigError(f"{file}: not written by vibe, and left as it is; move it away, and try again")
        target = file.resolve()  # a folder of settings is often made of links
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f"{target.name}.{os.getpid()}.new")
        draft.write_text(script, "utf-8")
        draft.replace(target)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(f"{file}: cannot be written: {reason}") from error
    return "written" if before is None else "written anew"
