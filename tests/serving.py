"""`thinktalk serve` in a process of its own, at a free port of this machine."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2

STARTS, STOPS = 120, 60  # seconds, on a machine with much to do
ADDRESS = re.compile(r"http://\S+")


@dataclass
class Served:
    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)  # of its stderr

    def __post_init__(self) -> None:
        # Read while it runs: a full pipe would stop it.
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip())

    @property
    def url(self) -> str:
        """Where it is, once it listens."""
        until = time.monotonic() + STARTS
        while self.process.poll() is None and time.monotonic() < until:
            if found := [match.group() for line in self.lines if (match := ADDRESS.search(line))]:
                return found[0]
            time.sleep(0.05)
        raise AssertionError("\n".join(["it did not start", *self.lines]))

    @property
    def running(self) -> int:
        """Replies that it is at."""
        return httpx2.get(f"{self.url}/health").json()["running"]

    @property
    def log(self) -> list[dict[str, Any]]:
        """What it has logged so far."""
        return [json.loads(line) for line in self.lines if line.startswith("{")]

    def stop(self, wait: bool = True) -> int | None:
        """Tell it to stop; its exit code, once it has."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOPS) if wait else None

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reading.join()


def wait_until(it_is: Callable[[], bool], seconds: float = 20) -> None:
    """Look again and again; AssertionError where it is not so in time."""
    until = time.monotonic() + seconds
    while not it_is():
        assert time.monotonic() < until
        time.sleep(0.02)


@contextmanager
def serving(*options: str, model: str = "nano") -> Iterator[Served]:
    """serving("--api-key", "k") -> the server, for as long as the block lasts."""
    command = [sys.executable, "-m", "thinktalk.cli", "serve", "--port", "0", "--model", model, *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    served = Served(process)
    try:
        assert served.url
        yield served
    finally:
        served.close()
