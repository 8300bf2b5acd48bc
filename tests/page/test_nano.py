"""The page with nano behind it: what is asked aloud is answered aloud, rightly."""

import pytest

from tests.page.stage import serve
from thinktalk import Omni

create_app = pytest.importorskip("thinktalk.server.app").create_app


@pytest.fixture(scope="module")
def nano_url():
    with serve(create_app(Omni.from_pretrained("nano"))) as url:
        yield url


def test_nano_hears_a_question_and_answers_aloud(visit, nano_url):
    visited = visit(nano_url)
    visited.page.set_default_timeout(60_000)
    visited.state("idle")
    visited.page.get_by_role("button", name="Start talking").click()
    visited.state("hearing")
    visited.state("speaking")
    assert visited.loudest("#its-meter", 1.0) > 5
    visited.shows("What is the capital of France?")
    visited.shows("The capital of France is Paris.")
    visited.has_said("Paris.")
    visited.state("listening")
    assert visited.page.locator("#latency").inner_text().endswith(" s")

    visited.page.get_by_role("button", name="Mute").click()
    visited.page.get_by_role("button", name="New conversation").click()
    visited.state("idle")
    visited.page.get_by_label("Message").fill("What is two plus three?")
    visited.page.keyboard.press("Enter")
    visited.state("speaking")
    visited.shows("Two plus three is five.")
    visited.state("idle")


def choose_speed(visited, speed: float) -> None:
    """Any that the server knows; the page offers fewer."""
    visited.page.evaluate(
        """(speed) => {
          const select = document.getElementById("speed");
          select.append(new Option(speed, speed));
          select.value = speed;
          select.dispatchEvent(new Event("change"));
        }""",
        speed,
    )


def test_nano_falls_silent_when_one_speaks_over_it_and_answers_that(visit, nano_url):
    visited = visit(nano_url, heard=(0.6,))
    visited.page.set_default_timeout(60_000)
    visited.state("idle")
    choose_speed(visited, 0.25)  # there is time to speak over it
    visited.page.get_by_label("Message").fill("What day comes after Monday?")
    visited.page.keyboard.press("Enter")
    visited.state("speaking")
    visited.page.get_by_role("button", name="Start talking").click()
    visited.page.wait_for_selector("[data-status=cut]")
    choose_speed(visited, 1)
    visited.shows("What is the capital of France?")
    visited.shows("The capital of France is Paris.")
    visited.has_said("Paris.")
    visited.state("listening")
    roles = visited.page.locator("#turns > li").evaluate_all("rows => rows.map((row) => row.dataset.role)")
    assert roles == ["user", "assistant", "user", "assistant"]
