"""How many can talk with a running server at once: first sounds, replies that stuttered, and failures.

    thinktalk serve &
    python bench/realtime_load.py [--url ws://127.0.0.1:8000/v1/realtime] [--sessions 1 4 8 16] [--turns 4] [--key KEY]

Each session speaks a recorded question in real time, as a microphone would, hears the reply to its end in real
time, waits a moment, and asks again; turns are found by the server. The time to the first sound counts from when the
server could know that the turn had ended: after the silence that ends one. A reply stutters when some of its sound
arrives later than it is to be heard.
A table for people; the last line is JSON.
"""

import argparse
import asyncio
import base64
import json
import random
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
import soxr
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

QUESTION = Path(__file__).parents[1] / "thinktalk/checkpoints/nano/question.wav"
RATE = 24_000
PIECE = 0.04  # seconds that are sent at once
SILENCE = 0.5  # seconds that end a turn
LATE = 0.1  # seconds that a player keeps in hand
PATIENCE = 30.0  # seconds after which a turn has failed


@dataclass
class Report:
    """What came of all turns with so many sessions at once."""

    first: list[float] = field(default_factory=list)  # seconds to the first sound
    spoken: list[float] = field(default_factory=list)  # seconds of each reply
    stuttered: int = 0
    failures: list[str] = field(default_factory=list)

    def row(self) -> dict[str, float]:
        """Its figures."""
        first = sorted(self.first) or [float("nan")]
        return {
            "replies": len(self.first),
            "first_audio_p50_s": round(statistics.median(first), 3),
            "first_audio_p99_s": round(first[min(len(first) - 1, int(0.99 * len(first)))], 3),
            "stuttered": round(self.stuttered / max(1, len(self.first)), 3),
            "failures": len(self.failures),
        }


class Caller:
    """One session, whose microphone never stops."""

    def __init__(self, socket: ClientConnection, question: np.ndarray, report: Report):
        self._socket, self._question, self._report = socket, question, report
        self._to_say = np.zeros(0, np.int16)
        self._ended = 0.0  # when the last of the question was sent

    async def talk(self, turns: int, pause: random.Random) -> None:
        """Ask so many times; each turn leaves its figures."""
        microphone = asyncio.create_task(self._speak())
        try:
            for _ in range(turns):
                await asyncio.sleep(0.5 + 3 * pause.random())
                try:
                    async with asyncio.timeout(PATIENCE):
                        await self._turn()
                except TimeoutError:
                    self._report.failures.append("no reply in time")
        finally:
            microphone.cancel()

    async def _speak(self) -> None:
        size, due = round(PIECE * RATE), time.perf_counter()
        while True:
            piece, self._to_say = self._to_say[:size], self._to_say[size:]
            padded = np.pad(piece, (0, size - len(piece)))
            sound = base64.b64encode(padded.tobytes()).decode()
            await self._socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": sound}))
            if len(piece):
                self._ended = time.perf_counter()
            due += PIECE
            await asyncio.sleep(due - time.perf_counter())

    async def _turn(self) -> None:
        self._to_say = self._question
        first, seconds, is_late = 0.0, 0.0, False
        while True:
            event = json.loads(await self._socket.recv())
            now = time.perf_counter()
            match event["type"]:
                case "response.output_audio.delta":
                    if not seconds:
                        first = now
                        self._report.first.append(first - self._ended - SILENCE)
                    is_late |= now > first + seconds + LATE
                    seconds += len(base64.b64decode(event["delta"])) / 2 / RATE
                case "response.done" if event["response"]["status"] == "completed":
                    break
                case "response.done" | "error":
                    return self._report.failures.append(json.dumps(event))
        self._report.stuttered += is_late
        await asyncio.sleep(first + seconds - time.perf_counter())


async def load(url: str, key: str, sessions: int, turns: int, question: np.ndarray) -> Report:
    """All sessions at once, begun within three seconds."""
    report = Report()

    async def one(seed: int) -> None:
        try:
            async with connect(url, additional_headers={"Authorization": f"Bearer {key}"}) as socket:
                await Caller(socket, question, report).talk(turns, random.Random(seed))
        except (OSError, WebSocketException) as error:
            report.failures.append(str(error))

    await asyncio.gather(*(one(seed) for seed in range(sessions)))
    return report


def recording() -> np.ndarray:
    """The question that nano is shipped with, int16 [n] at 24 kHz, without the silence behind it."""
    sound, rate = soundfile.read(QUESTION)
    sound = soxr.resample(sound, rate, RATE)
    loud = np.flatnonzero(np.abs(sound) > 0.02 * np.abs(sound).max())
    return (sound[: loud[-1] + 1] * 32_767).astype("<i2")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="ws://127.0.0.1:8000/v1/realtime")
    parser.add_argument("--key", default="none")
    parser.add_argument("--sessions", type=int, nargs="+", default=[1, 4, 8, 16])
    parser.add_argument("--turns", type=int, default=4)
    asked = parser.parse_args()
    question = recording()
    rows = {}
    print("sessions replies   first sound p50    p99   stuttered   failures")
    for sessions in asked.sessions:
        report = asyncio.run(load(asked.url, asked.key, sessions, asked.turns, question))
        rows[sessions] = row = report.row()
        print(
            f"{sessions:8}{row['replies']:8}{row['first_audio_p50_s']:16.2f} s{row['first_audio_p99_s']:6.2f} s"
            f"{row['stuttered']:11.0%}{row['failures']:11}"
        )
        for failure in sorted(set(report.failures)):
            print(f"         {failure[:150]}")
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
