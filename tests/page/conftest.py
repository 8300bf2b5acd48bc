"""A real Chromium before the page, with a microphone that plays a recording."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.page.stage import Stage, serve

sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright drives the browser")

QUESTION = Path(__file__).parents[2] / "thinktalk" / "checkpoints" / "nano" / "question.wav"
CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
PATIENCE_MS = 15_000
# What passes too quickly to be caught by asking: when the page was in which state, by its own clock.
WATCH = """
  window.states = [];
  new MutationObserver(() => window.states.push([document.body.dataset.state, performance.now()]))
    .observe(document, { subtree: true, attributeFilter: ["data-state"] });
"""


def chromium_arguments(recording: Path | None) -> list[str]:
    """What makes a microphone of a wav, and a camera of a drawing, for pages that may use them; None: no device."""
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    if recording is not None:
        arguments += [
            "--use-fake-device-for-media-stream",
            "--use-fake-ui-for-media-stream",
            f"--use-file-for-fake-audio-capture={recording}%noloop",
        ]
    return arguments


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.page)
            if not CHROMIUM:
                item.add_marker(pytest.mark.skip("no Chromium: apt-get install chromium, or CHROMIUM=<path>"))


@dataclass
class Visit:
    """A page as somebody sees it, and what its console complained of."""

    page: sync_api.Page
    complaints: list[str] = field(default_factory=list)

    def state(self, name: str) -> None:
        """Wait until the page says that it is in a state."""
        self.page.wait_for_selector(f"body[data-state={name}]")

    def shows(self, text: str) -> None:
        self.page.locator("#turns").get_by_text(text).wait_for()

    def has_said(self, word: str) -> None:
        """Wait until a word of a reply has been reached by its voice."""
        reached = self.page.locator("[data-role=assistant] :is(.said, .now)", has_text=word)
        reached.first.wait_for()

    def states(self) -> list[tuple[str, float]]:
        """Each state that the page was in, and when, in ms."""
        return [(state, at) for state, at in self.page.evaluate("() => window.states")]

    def count(self, meter: str) -> int:
        return int(self.page.locator(meter).get_attribute("aria-valuenow") or 0)

    def loudest(self, meter: str, seconds: float) -> int:
        """The most that a meter shows in some seconds."""
        until = time.monotonic() + seconds
        most = 0
        while time.monotonic() < until:
            most = max(most, self.count(meter))
            self.page.wait_for_timeout(40)
        return most


@pytest.fixture(scope="session")
def playwright() -> Iterator[sync_api.Playwright]:
    with sync_api.sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A wav of the question asked at some seconds, with silence between and behind."""
    folder = tmp_path_factory.mktemp("microphone")

    def make(*at_s: float) -> Path:
        question, rate = soundfile.read(QUESTION)
        sound = np.zeros(int((max(at_s) + 30) * rate))
        for start in at_s:
            begin = int(start * rate)
            sound[begin : begin + len(question)] = question
        path = folder / f"{'-'.join(map(str, at_s))}.wav"
        soundfile.write(path, sound, rate)
        return path

    return make


@pytest.fixture(scope="session")
def browsers(playwright, recording) -> Iterator[Callable[..., sync_api.Browser]]:
    """Browsers by what their microphone hears: the seconds at which the question is asked, or None for no permission."""
    started: dict[tuple[float, ...] | None, sync_api.Browser] = {}

    def start(heard: tuple[float, ...] | None) -> sync_api.Browser:
        if heard not in started:
            arguments = chromium_arguments(None if heard is None else recording(*heard))
            started[heard] = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        return started[heard]

    yield start
    for browser in started.values():
        browser.close()


@pytest.fixture
def visit(browsers) -> Iterator[Callable[..., Visit]]:
    """Open an address; when the test is over, the console has to have been quiet."""
    visits: list[Visit] = []

    def begin(url: str, heard: tuple[float, ...] | None = (0.3,), **options: object) -> Visit:
        options = {"viewport": {"width": 1280, "height": 800}, **options}
        page = browsers(heard).new_context(**options).new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.add_init_script(WATCH)
        visited = Visit(page)
        visits.append(visited)
        note = visited.complaints.append
        page.on("console", lambda said: note(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: note(str(error)))
        page.goto(url)
        return visited

    yield begin
    for visited in visits:
        visited.page.context.close()
    assert not [each for visited in visits for each in visited.complaints]


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def url(stage: Stage) -> Iterator[str]:
    with serve(stage.app()) as address:
        yield address
