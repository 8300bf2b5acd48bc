"""Take the pictures of the page that the documentation shows: `make page-pictures`.

nano is served, hears its recorded question through a real Chromium, and is photographed while it answers.
"""

import io
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from tests.page.conftest import CHROMIUM, chromium_arguments
from tests.page.stage import serve
from thinktalk import Omni
from thinktalk.server.app import create_app

ROOT = Path(__file__).parents[2]
QUESTION = ROOT / "thinktalk" / "checkpoints" / "nano" / "question.wav"
SILENCE = 0.6  # seconds before the question, until the page listens
FONT = "Inter, system-ui"  # what many systems bring; here from Debian's fonts-inter
PICTURES = {
    "page.png": {"viewport": {"width": 1280, "height": 800}, "device_scale_factor": 1.5},
    "page-phone.png": {
        "viewport": {"width": 390, "height": 760},
        "device_scale_factor": 2,
        "color_scheme": "dark",
        "is_mobile": True,
        "has_touch": True,
    },
}


def photograph(page: Page, url: str) -> Image.Image:
    """The page in the midst of a spoken reply."""
    page.goto(url)
    page.evaluate("(font) => document.documentElement.style.setProperty('--text', font)", FONT)
    page.wait_for_selector("body[data-state=idle]")
    page.get_by_role("button", name="Start talking").click()
    page.locator("[data-role=assistant] .now", has_text="France").wait_for(timeout=60_000)
    page.mouse.move(1, 1)
    return Image.open(io.BytesIO(page.screenshot()))


def save(picture: Image.Image, path: Path) -> None:
    """With 256 colours of its own, which is enough for a page of two."""
    picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def recording(folder: Path) -> Path:
    """What the microphone hears."""
    question, rate = soundfile.read(QUESTION)
    path = folder / "microphone.wav"
    soundfile.write(path, np.concatenate((np.zeros(int(SILENCE * rate)), question)), rate)
    return path


def main() -> None:
    app = create_app(Omni.from_pretrained("nano"))
    with serve(app) as url, sync_playwright() as playwright, TemporaryDirectory() as folder:
        arguments = chromium_arguments(recording(Path(folder)))
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        for name, options in PICTURES.items():
            context = browser.new_context(**options)
            save(photograph(context.new_page(), url), ROOT / "docs" / name)
            print(f"docs/{name}: {(ROOT / 'docs' / name).stat().st_size / 1000:.0f} kB")
            context.close()
        browser.close()


if __name__ == "__main__":
    main()
