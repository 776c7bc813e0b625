"""A program that stands for an agent CLI, by the name that it is started by.

It does what the lines of JSON in its prompt say (see `deed`), and prints what the real one prints. What the folder
configures, it does before, as the real ones do (see `configured`). It is copied to where it is started, and runs
without the project's packages.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

KIND = os.path.basename(sys.argv[0])
HOME = Path(os.environ["HOME"])


class Said:
    """What it is about to print, and how it ends."""

    text = "done"
    error: str | None = None
    subtype = "success"
    usage = True
    code = 0


def show(document: Any, stream: Any = None) -> None:
    print(json.dumps(document), file=stream or sys.stdout)


def claude(said: Said) -> None:
    document: dict[str, Any] = {"type": "result", "subtype": said.subtype, "is_error": said.error is not None}
    document |= {"duration_ms": 5, "num_turns": 2, "session_id": "s", "result": said.error or said.text}
    if said.usage:
        counts = {"input_tokens": 10, "cache_creation_input_tokens": 20, "cache_read_input_tokens": 70}
        document |= {"total_cost_usd": 0.25, "usage": {**counts, "output_tokens": 30}}
    show(document)


def codex(said: Said) -> None:
    def item(number: int, kind: str, **held: object) -> None:
        show({"type": "item.completed", "item": {"id": f"item_{number}", "type": kind, **held}})

    show({"type": "thread.started", "thread_id": "t"})
    show({"type": "turn.started"})
    item(0, "agent_message", text="On it.")
    item(1, "command_execution", command="ls", aggregated_output="", exit_code=0, status="completed")
    if said.error is not None:
        show({"type": "error", "message": said.error})
        show({"type": "turn.failed", "error": {"message": said.error}})
        return
    item(2, "agent_message", text=said.text)
    if said.usage:
        show({"type": "turn.completed", "usage": {"input_tokens": 100, "cached_input_tokens": 70, "output_tokens": 30}})


def gemini(said: Said) -> None:
    if said.error is not None:
        show({"session_id": "s", "error": {"type": "Error", "message": said.error, "code": 1}}, sys.stderr)
        return
    document: dict[str, Any] = {"session_id": "s", "response": said.text}
    if said.usage:
        tokens = {"input": 15, "prompt": 45, "candidates": 10, "total": 60, "cached": 35, "thoughts": 5, "tool": 5}
        document["stats"] = {"models": {name: {"tokens": tokens} for name in ("gemini-2.5-pro", "gemini-2.5-flash")}}
    print(json.dumps(document, indent=2))


def opencode(said: Said) -> None:
    def event(kind: str, **held: object) -> None:
        show({"type": kind, "timestamp": 1, "sessionID": "s", **held})

    event("step_start", part={"type": "step-start"})
    event("text", part={"type": "text", "text": "On it."})
    if said.error is not None:
        event("error", error={"name": "APIError", "data": {"message": said.error}})
        return
    tokens = {"input": 5, "output": 10, "reasoning": 5, "cache": {"read": 35, "write": 10}}
    for last in (False, True):
        if last:
            event("text", part={"type": "text", "text": said.text, "time": {"start": 1, "end": 2}})
        if said.usage:
            event("step_finish", part={"type": "step-finish", "reason": "stop", "cost": 0.125, "tokens": tokens})
    event("done", reason="idle", rejected=[])


def paseo(said: Said) -> None:
    if said.error is not None:
        show({"error": {"code": "AGENT_CREATE_FAILED", "message": said.error}})
    else:
        show({"answer": said.text})


def settings(*tail: str) -> Iterator[Path]:
    """Files of such a name in the folder and those below it, as on a disk that does not tell cases of letters apart."""
    for folder, _, names in os.walk(".", followlinks=True):
        for name in names:
            path = Path(folder, name)
            if tuple(part.lower() for part in path.parts[-len(tail) :]) == tail:
                yield path


def run(*commands: str) -> None:
    for command in commands:
        subprocess.run(["/bin/sh", "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=30)


def hooks(path: Path) -> None:
    for group in json.loads(path.read_text()).get("hooks", {}).get("SessionStart", ()):
        run(*(hook["command"] for hook in group["hooks"]))


def servers(path: Path, key: str) -> None:
    for server in json.loads(path.read_text()).get(key, {}).values():
        run(server["command"] if isinstance(server["command"], str) else server["command"][0])


def configured() -> None:
    """What its configuration has it do, which is all in the folder that it stands in."""
    match KIND:
        case "claude":
            for name in ("settings.json", "settings.local.json"):
                for path in settings(".claude", name):
                    hooks(path)
            for path in settings(".mcp.json"):
                servers(path, "mcpServers")
            if os.path.exists("HEAD") or os.path.exists(".git"):
                run("git status >/dev/null 2>&1")
        case "codex":
            for path in settings(".codex", "hooks.json"):
                hooks(path)
        case "gemini":
            for path in settings(".gemini", "settings.json"):
                run(json.loads(path.read_text())["tools"]["discoveryCommand"])
            for path in settings(".env"):
                for line in path.read_text().splitlines():
                    name, _, value = line.partition("=")
                    os.environ[name] = value
                (HOME / os.environ["GOOGLE_GEMINI_BASE_URL"]).write_text("gets the key")
        case "opencode":
            for path in (*settings(".opencode", "plugins", "p.js"), *settings("preload.js")):
                if path.name != "preload.js" or any(settings("bunfig.toml")):
                    run(path.read_text())
            for name in ("opencode.json", "opencode.jsonc"):
                for path in settings(name):
                    servers(path, "mcp")
        case "paseo":
            for path in settings("paseo.json"):
                run(*json.loads(path.read_text())["worktree"]["setup"])


def write(name: str, text: str, mode: str = "w") -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    with open(name, mode) as file:
        file.write(text)


def deed(said: Said, prompt: str, what: str, how: Any) -> None:
    match what:
        case "write":
            for name, text in how.items():
                write(name, text)
        case "append":
            for name, text in how.items():
                write(name, text, "a")
        case "remove":
            shutil.rmtree(how)
        case "list":
            said.text = " ".join(sorted(str(path) for path in Path(".").rglob("*") if path.is_file()))
        case "say":
            said.text = how
        case "read":
            said.text = Path(how).read_text()
        case "echo":
            said.text = os.environ.get(how, "unset")
        case "again":
            if "=== " in prompt:  # what came after the task
                deeds_of(said, "", [how])
        case "raw":
            sys.stdout.write(how)
            sys.stdout.flush()
            os._exit(0)
        case "flood":
            for _ in range(how):
                os.write(1, b"x" * 1_000_000)
        case "child":
            subprocess.Popen(["/bin/sleep", "600"])
        case "hang":
            child = subprocess.Popen(["/bin/sleep", "600"])
            (HOME / "hanging").write_text(f"{os.getpid()} {child.pid}")
            time.sleep(600)
        case "wait for":
            if not (HOME / how).exists():
                deed(said, prompt, "hang", True)
        case "die":
            os.kill(os.getpid(), how)
        case "error":
            said.error, said.code = how, 1
        case "subtype":
            said.subtype, said.code = how, 1
        case "nothing used":
            said.usage = False
        case "code":
            said.code = how
        case "err":
            print(how, file=sys.stderr)


def deeds_of(said: Said, prompt: str, deeds: list[Any]) -> None:
    for each in deeds:
        for what, how in each.items():
            deed(said, prompt, what, how)


def main() -> None:
    stdin = sys.stdin.read()
    prompt = sys.argv[-1] if KIND == "paseo" else stdin
    now = {"kind": KIND, "argv": sys.argv[1:], "stdin": stdin, "cwd": os.getcwd(), "environ": dict(os.environ)}
    with open(HOME / "started", "a") as file:
        file.write(json.dumps(now) + "\n")
    said = Said()
    configured()
    lines = [line for line in prompt.splitlines() if line.startswith('{"do": ')]
    deeds_of(said, prompt, [json.loads(line)["do"] for line in lines])
    {"claude": claude, "codex": codex, "gemini": gemini, "opencode": opencode, "paseo": paseo}[KIND](said)
    sys.stdout.flush()
    os._exit(said.code)


if __name__ == "__main__":
    main()
