"""That everybody can use the page: by keyboard, by screen reader, on a phone, in the dark, without motion."""

import re

import pytest

PHONE = {"viewport": {"width": 320, "height": 640}, "has_touch": True, "is_mobile": True}
SMALLEST_TARGET = 24  # CSS pixels, WCAG 2.2
CONTRAST = 4.5

UNNAMED = """() => [...document.querySelectorAll("button, input, select, textarea, [role=meter], video, img")]
  .filter((it) => !it.getAttribute("aria-label") && !it.getAttribute("aria-labelledby") && !it.labels?.length
    && !it.textContent.trim() && !it.hasAttribute("alt"))
  .map((it) => it.outerHTML)"""
DUPLICATES = """() => {
  const ids = [...document.querySelectorAll("[id]")].map((it) => it.id);
  return ids.filter((id, i) => ids.indexOf(id) !== i);
}"""
DANGLING = """() => ["for", "aria-labelledby", "aria-describedby"].flatMap((name) =>
  [...document.querySelectorAll(`[${name}]`)].map((it) => it.getAttribute(name))
    .filter((id) => !document.getElementById(id)))"""
TEXTS = """() => {
  const number = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const behind = (it) => {
    for (; it; it = it.parentElement) {
      const [r, g, b, a = 1] = number(getComputedStyle(it).backgroundColor);
      if (a === 1) return [r, g, b];
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll("body *")]
    .filter((it) => [...it.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
    .filter((it) => it.checkVisibility() && !it.closest(":disabled, select") && !it.matches("symbol *"))
    .map((it) => [it.textContent.trim(), number(getComputedStyle(it).color).slice(0, 3), behind(it)]);
}"""


def luminance(colour: list[float]) -> float:
    linear = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: list[float], other: list[float]) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_everything_has_a_name_of_its_own(visit, url):
    page = visit(url, heard=None).page
    page.wait_for_selector("body[data-state=idle]")
    assert page.evaluate(UNNAMED) == []
    assert page.evaluate(DUPLICATES) == []
    assert page.evaluate(DANGLING) == []
    assert page.locator("html").get_attribute("lang") == "en" and page.title()
    assert page.locator("h1").count() == 1 and page.locator("main").count() == 1
    assert page.get_by_role("status").inner_text() == "Ready"
    assert page.locator("[aria-live=polite]").count() == 1


def test_the_keyboard_reaches_everything_and_shows_where_it_is(visit, url):
    visited = visit(url, heard=None)
    visited.state("idle")
    page = visited.page
    page.get_by_label("Message").fill("x")
    page.locator("h1").click()
    where = """() => { const it = document.activeElement, style = getComputedStyle(it);
      const ring = it.closest("label, .line") ?? it;
      return [it.id || it.textContent || it.name, style.outlineStyle !== "none" || ring !== it]; }"""
    reached = []
    for _ in range(14):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(where))
    assert [name for name, is_shown in reached if not is_shown] == []
    names = [name.strip() for name, _ in reached]
    wanted = [
        "voice",
        "aloud",
        "Settings",
        "new-conversation",
        "mode",
        "talk",
        "choose",
        "camera-toggle",
        "text",
        "send",
    ]
    assert [name for name in names if name in wanted] == wanted
    assert "What is two plus three?" in names

    page.get_by_label("Hands-free").focus()
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("button", name="Hold to talk").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out(visit, url, stage, scheme):
    stage.seconds = 6
    visited = visit(url, heard=None, color_scheme=scheme, reduced_motion="reduce")
    visited.state("idle")
    faint = visited.page.evaluate(TEXTS)
    visited.page.get_by_role("button", name="two plus three").click()
    visited.has_said("capital")
    texts = [*faint, *visited.page.evaluate(TEXTS)]
    assert len(texts) > 20
    low = [(text, contrast(ink, paper)) for text, ink, paper in texts if contrast(ink, paper) < CONTRAST]
    assert not low


def test_a_phone_shows_it_all(visit, url, stage):
    visited = visit(url, heard=None, **PHONE)
    visited.state("idle")
    page = visited.page
    page.get_by_role("button", name="two plus three").click()
    visited.state("speaking")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 320
    assert page.evaluate("() => document.documentElement.scrollHeight") <= 640
    for control in (
        "#talk",
        "#stop",
        "#text",
        "#send",
        "#state",
        "#voice",
        "#new-conversation",
        "#its-meter",
    ):
        box = page.locator(control).bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= 320 and box["y"] + box["height"] <= 640
    sizes = page.evaluate(
        "() => [...document.querySelectorAll('button, select, .modes label')].filter((it) => it.checkVisibility())"
        ".map((it) => it.getBoundingClientRect()).map(({ width, height }) => Math.min(width, height))"
    )
    assert min(sizes) >= SMALLEST_TARGET


def test_motion_can_be_spared(visit, url):
    visited = visit(url, heard=None, reduced_motion="reduce")
    visited.state("idle")
    picture = "() => document.getElementById('orb').toDataURL()"
    visited.page.wait_for_timeout(2500)  # the ring settles
    before = visited.page.evaluate(picture)
    visited.page.wait_for_timeout(700)
    assert visited.page.evaluate(picture) == before
    assert len(before) > 5000, "and it is drawn"


def test_nothing_comes_from_elsewhere(visit, url):
    visited = visit(url, heard=None)
    asked: list[str] = []
    visited.page.on("request", lambda request: asked.append(request.url))
    visited.page.reload()
    visited.state("idle")
    assert len(asked) > 10
    assert [address for address in asked if not address.startswith((url, "data:"))] == []
    policy = visited.page.locator("meta[http-equiv]").get_attribute("content")
    assert "default-src 'self'" in policy and "unsafe" not in policy
    assert not re.search(r"\sstyle=|\son\w+=|<script>", visited.page.request.get(url).text())
