"""Pictures, keys, losses: what the page does besides sound."""

import base64
import io

from PIL import Image

DROP = """(data) => {
  const files = new DataTransfer();
  const bytes = Uint8Array.from(atob(data), (sign) => sign.charCodeAt(0));
  files.items.add(new File([bytes], "red.png", { type: "image/png" }));
  document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true }));
  const paste = new ClipboardEvent("paste", { clipboardData: files, bubbles: true, cancelable: true });
  document.querySelector("textarea").dispatchEvent(paste);
}"""


def png(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(file, "png")
    return file.getvalue()


def opened(part: dict) -> Image.Image:
    head, _, data = part["image_url"].partition(",")
    assert part["type"] == "input_image" and head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_pictures_go_with_what_is_written(visit, url, stage):
    visited = visit(url, heard=None)
    visited.state("idle")
    chosen = {"name": "wide.png", "mimeType": "image/png", "buffer": png(3000, 1500)}
    visited.page.locator("#files").set_input_files([chosen])
    visited.page.get_by_role("img", name="Picture 1").wait_for()
    visited.page.evaluate(DROP, base64.b64encode(png(40, 30)).decode())
    visited.page.get_by_role("button", name="Take picture 3 away").click()
    visited.page.get_by_label("Message").fill("What is this?")
    visited.page.keyboard.press("Enter")
    visited.shows(stage.says)
    [event] = stage.sent("conversation.item.create")
    *pictures, words = event["item"]["content"]
    assert [opened(picture).size for picture in pictures] == [(1024, 512), (40, 30)]
    red, green, blue = opened(pictures[0]).getpixel((5, 5))
    assert red > 240 and green < 15 and blue < 15
    assert words == {"type": "input_text", "text": "What is this?"}
    assert visited.page.locator("#turns img").count() == 2 and visited.page.locator("#tray li").count() == 0


def test_a_file_that_is_no_picture_is_refused_in_words(visit, url):
    visited = visit(url, heard=None)
    visited.state("idle")
    broken = {"name": "broken.png", "mimeType": "image/png", "buffer": b"no picture"}
    visited.page.locator("#files").set_input_files([broken])
    visited.page.get_by_role("alert").get_by_text("broken.png is not a picture").wait_for()


def test_the_camera_shows_a_frame_of_what_is_spoken_about(visit, url, stage):
    visited = visit(url, heard=(1.5,))
    visited.state("idle")
    visited.page.get_by_role("button", name="Camera").click()
    visited.page.locator("video").wait_for()
    visited.page.get_by_role("button", name="Start talking").click()
    visited.state("speaking")
    [event] = stage.sent("conversation.item.create")
    assert opened(event["item"]["content"][0]).size[0] >= 320
    roles = visited.page.locator("#turns > li").evaluate_all(
        "rows => rows.map((row) => row.querySelector('img') ? 'img' : row.dataset.role)"
    )
    assert roles == ["img", "user", "assistant"]
    visited.page.get_by_role("button", name="Camera").click()
    visited.page.locator("video").wait_for(state="hidden")


def test_a_lost_connection_comes_back_and_knows_what_was_said(visit, url, stage):
    visited = visit(url, heard=None)
    visited.state("idle")
    visited.page.get_by_role("button", name="two plus three").click()
    visited.state("speaking")
    visited.state("idle")
    stage.received.clear()
    stage.lose()
    visited.page.get_by_text("Connection lost").wait_for()
    assert visited.page.get_by_role("button", name="Send").is_disabled()
    visited.page.get_by_role("button", name="Try now").click()
    visited.state("idle")
    visited.page.wait_for_timeout(200)
    told = [event["item"] for event in stage.sent("conversation.item.create")]
    assert [(item["role"], item["content"]) for item in told] == [
        ("user", [{"type": "input_text", "text": "What is two plus three?"}]),
        ("assistant", [{"type": "output_text", "text": stage.says}]),
    ]
    assert visited.page.locator("#turns > li").count() == 2
    visited.complaints.clear()  # the browser itself notes a refused connection


def test_of_a_reply_that_broke_off_counts_what_was_heard(visit, url, stage):
    stage.says, stage.seconds = "One two three four five six seven eight nine ten eleven twelve.", 10.0
    visited = visit(url, heard=None)
    visited.state("idle")
    visited.page.get_by_role("button", name="two plus three").click()
    visited.has_said("three")
    stage.received.clear()
    stage.lose()
    visited.page.wait_for_selector("[data-status=cut]")
    visited.state("idle")
    visited.page.wait_for_timeout(200)
    told = stage.sent("conversation.item.create")[-1]["item"]
    assert told["role"] == "assistant" and told["content"][0]["text"].startswith("One two")
    assert len(told["content"][0]["text"].split()) < 7


def test_a_new_conversation_begins_empty(visit, url, stage):
    visited = visit(url, heard=None)
    visited.state("idle")
    visited.page.get_by_role("button", name="two plus three").click()
    visited.state("speaking")
    stage.received.clear()
    visited.page.get_by_role("button", name="New conversation").click()
    visited.state("idle")
    visited.page.get_by_role("heading", name="Say something").wait_for()
    assert visited.page.locator("#turns > li").count() == 0 and not stage.sent("conversation.item.create")


def test_a_voice_is_chosen(visit, url, stage):
    visited = visit(url, heard=None)
    visited.state("idle")
    visited.page.get_by_role("combobox", name="Voice").select_option("michael")
    visited.page.wait_for_timeout(200)
    assert stage.sent("session.update")[-1]["session"]["audio"]["output"]["voice"] == "michael"


def test_speed_and_the_end_of_turns_are_chosen(visit, url, stage):
    visited = visit(url, heard=None)
    visited.state("idle")
    begun = stage.sent("session.update")[-1]["session"]["audio"]
    assert begun["output"]["speed"] == 1 and begun["input"]["turn_detection"]["type"] == "server_vad"
    visited.page.get_by_role("button", name="Settings").click()
    visited.page.get_by_role("combobox", name="It speaks").select_option("faster")
    visited.page.get_by_role("combobox", name="Your turn ends").select_option("sentence")
    visited.page.wait_for_timeout(200)
    chosen = stage.sent("session.update")[-1]["session"]["audio"]
    assert chosen["output"]["speed"] == 1.25
    assert chosen["input"]["turn_detection"]["type"] == "semantic_vad"
    visited.page.keyboard.press("Escape")
    visited.page.get_by_role("dialog", name="Settings").wait_for(state="hidden")


def test_a_failed_reply_is_told(visit, url, stage):
    stage.fault = "The server is full."
    visited = visit(url, heard=None)
    visited.state("idle")
    visited.page.get_by_role("button", name="two plus three").click()
    visited.page.get_by_role("alert").get_by_text("The server is full.").wait_for()
    visited.state("idle")


def test_a_key_is_asked_for_and_kept_in_the_tab(visit, url, stage):
    stage.key = "sesame"
    visited = visit(url, heard=None)
    for attempt in ("wrong", "sesame"):
        visited.page.get_by_label("API key").fill(attempt)
        visited.page.keyboard.press("Enter")
        if attempt == "wrong":
            visited.page.get_by_text("Incorrect API key").wait_for()
    visited.state("idle")
    assert visited.page.evaluate("() => sessionStorage.getItem('thinktalk.key')") == "sesame"
    assert visited.page.evaluate("() => localStorage.length") == 0
    visited.page.reload()
    visited.state("idle")
    visited.complaints.clear()  # the browser itself notes each 401
