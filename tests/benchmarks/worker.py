"""One measured run in a process of its own: python -m tests.benchmarks.worker SCRIPT N LATENCY_S CONCURRENCY.

Prints JSON: seconds between the first and the last moment of the script's run, and the peak of memory in MB.
"""

from __future__ import annotations

import gc
import json
import sys
import time

from vibe_workflows.cli import wiring
from vibe_workflows.cli.main import COLLECT_AFTER
from vibe_workflows.engine.backends.scripted import ScriptedBackend
from vibe_workflows.engine.events import Event, RunFinished, RunStarted
from vibe_workflows.engine.launch import RunRequest

from .processes import peak_rss_mb


class Stopwatch:
    """Notes when the run row was durable and when the last row was."""

    def __init__(self) -> None:
        self.started = self.finished = 0.0

    def handle(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self.started = time.perf_counter()
        elif isinstance(event, RunFinished):
            self.finished = time.perf_counter()


def main() -> None:
    gc.set_threshold(COLLECT_AFTER)  # as the command itself does
    script, count, latency, concurrency = sys.argv[1:]
    backend = ScriptedBackend(lambda _request: "y" * 200, latency_s=float(latency))
    settings = wiring.load({"model": "scripted", "concurrency": int(concurrency), "max_usd": "none"})
    watch = Stopwatch()
    arguments = {"n": int(count)} if int(count) else {}
    report = wiring.run_workflow(settings, RunRequest(target=script, arguments=arguments), [watch], backend=backend)
    assert report.exit_code == 0, report.error
    print(
        json.dumps(
            {
                "seconds": watch.finished - watch.started,
                "peak_mb": peak_rss_mb(),
                "live": report.run.live_steps,
                "stored": report.run.stored_steps,
            }
        )
    )


if __name__ == "__main__":
    main()
