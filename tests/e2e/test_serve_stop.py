"""`thinktalk serve` told to stop while it speaks to many: all is broken off, nothing crashes, and the log says so."""

import base64
import json
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.serving import Served, serving, wait_until

QUESTION = Path(__file__).parents[2] / "thinktalk/checkpoints/nano/question.wav"
SPEAKING = 3  # replies at once, and a session
MANUAL = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
TEXT = "It was rainy on Tuesday afternoon. " * 20


def speak(served: Served) -> None:
    """Ask for much speech, and read what comes of it until the server has enough."""
    asked = {"input": TEXT, "response_format": "pcm"}
    try:
        with httpx2.stream("POST", f"{served.url}/v1/audio/speech", json=asked, timeout=60) as answer:
            for _ in answer.iter_bytes():
                pass
    except httpx2.TransportError:
        pass


def converse(served: Served) -> int | None:
    """Ask aloud in a real-time session, and listen until it is closed: the code that says why."""
    question = base64.b64encode(QUESTION.read_bytes()[44:]).decode()
    with connect(served.url.replace("http", "ws") + "/v1/realtime") as socket:
        for event in (
            {"type": "session.update", "session": MANUAL},
            {"type": "input_audio_buffer.append", "audio": question},
            {"type": "input_audio_buffer.commit"},
            {"type": "response.create"},
        ):
            socket.send(json.dumps(event))
        try:
            while True:
                socket.recv(timeout=60)
        except ConnectionClosed as closed:
            return closed.rcvd and closed.rcvd.code


def interrupt(served: Served) -> None:
    """Twice; the second time not before the first was heard, or the two would count as one."""
    served.process.send_signal(signal.SIGINT)
    wait_until(lambda: any(line["message"].startswith("stopping") for line in served.log), seconds=10)
    served.process.send_signal(signal.SIGINT)


def terminate(served: Served) -> None:
    served.process.send_signal(signal.SIGTERM)


@pytest.mark.parametrize("stop, grace", [(interrupt, 20), (terminate, 0)], ids=["ctrl-c twice", "SIGTERM"])
def test_a_server_that_speaks_to_many_is_stopped_at_once(stop, grace):
    with serving("--grace", str(grace)) as served, ThreadPoolExecutor() as asking:
        session = asking.submit(converse, served)
        for _ in range(SPEAKING):
            asking.submit(speak, served)
        wait_until(lambda: served.running >= SPEAKING, seconds=30)
        time.sleep(0.3)
        began = time.monotonic()
        stop(served)
        assert served.process.wait(30) == 0, "\n".join(served.lines)
        assert time.monotonic() - began < 10
        assert session.result(10) == 1012
    told = {line["message"]: line for line in served.log}
    assert told["stopped"]["broken_off"] == SPEAKING and told["stopped"]["running"] == 0
    assert list(told)[-1] == "finished"
    assert not [
        line for line in served.lines if "Traceback" in line or not line.startswith(("{", "thinktalk"))
    ]
