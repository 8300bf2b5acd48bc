"""A server for the clients, and how each is run: its snippet, as the documentation shows it, in a process.

`make test-clients` installs the clients; what is not installed is skipped.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import soundfile

from tests.serving import Served, serving
from thinktalk.eval.judges import Judge, moonshine
from thinktalk.media.audio import load_audio

ROOT = Path(__file__).parents[2]
SNIPPETS = Path(__file__).parent / "snippets"
QUESTION = ROOT / "thinktalk/checkpoints/nano/question.wav"
VENV = Path(os.environ.get("THINKTALK_CLIENTS", ROOT / ".venv-clients"))
PYTHON = VENV / "bin/python"
MODULES = Path(__file__).parent / "node_modules"
RATE = 24_000  # of real-time sessions
SECONDS = 120


@dataclass(frozen=True)
class Ran:
    """What a snippet left: what it printed, and what was said in the file it wrote."""

    heard: str
    said: str
    spoken: str | None


Run = Callable[[str], Ran]


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving() as served:
        yield served


@pytest.fixture
def run(served: Served, judge: Judge, tmp_path: Path) -> Run:
    """run("openai_chat.py") -> what came of it, asked the question that nano is shipped with."""
    soundfile.write(tmp_path / "question.wav", load_audio(QUESTION, RATE), RATE, subtype="PCM_16")

    def run(snippet: str) -> Ran:
        code = (SNIPPETS / snippet).read_text()
        assert "127.0.0.1:8000" in code
        script = tmp_path / snippet
        script.write_text(code.replace("127.0.0.1:8000", served.url.split("://")[1].strip("/")))
        done = subprocess.run(
            [*command(snippet), str(script)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            env={**os.environ, "PYTHONPATH": ""},
            check=False,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        told = dict(re.findall(r"^(heard|said): (.*)$", done.stdout, re.MULTILINE))
        reply = tmp_path / "reply.wav"
        spoken = judge.transcribe(load_audio(reply)) if reply.exists() else None
        return Ran(told.get("heard", "").strip(), told.get("said", "").strip(), spoken)

    def command(snippet: str) -> list[str]:
        if snippet.endswith(".mjs"):
            node = shutil.which("node")
            if node is None or not MODULES.exists():
                pytest.skip("its client is not installed; make test-clients does that")
            (tmp_path / "node_modules").symlink_to(MODULES)
            return [node]
        package = {"openai": "openai", "pipecat": "pipecat", "livekit": "livekit.plugins.openai"}
        name = package[snippet.partition("_")[0]]
        python = str(PYTHON if PYTHON.exists() else sys.executable)
        known = subprocess.run(
            [python, "-c", f"import importlib; importlib.import_module({name!r})"],
            check=False,
            capture_output=True,
        )
        if known.returncode:
            pytest.skip(f"{name} is not installed; make test-clients does that")
        return [python]

    return run


@pytest.fixture(scope="session")
def judge() -> Judge:
    """Writes down what the replies say. Not nano: it has learnt to hear questions, and these are answers."""
    pytest.importorskip("moonshine_voice")
    return moonshine()
