"""From the end of what was said to the first sound of the reply, for short and for long turns.

    python bench/realtime_first_audio.py [--model nano] [--seconds 2 30] [--rounds 8]

Sound goes into a real-time session as a microphone sends it, but as fast as it is heard; then it is committed.
Long turns are heard and read while they are spoken, so they should be answered about as soon as short ones.
A table for people; the last line is JSON.
"""

import argparse
import asyncio
import base64
import json
import statistics
import time

import numpy as np
import torch

from thinktalk import Omni
from thinktalk.server.realtime.server_events import ServerEvent
from thinktalk.server.realtime.session import Session
from thinktalk.server.settings import Settings

RATE = 24_000
PIECE = RATE // 10  # samples that are sent at once


async def first_audio(omni: Omni, sound: np.ndarray) -> float:
    """Seconds from the commit of `sound`, float32 [n] at 24 kHz, to the first sound of its reply."""
    arrived = asyncio.Event()
    times: list[float] = []

    def receive(event: ServerEvent) -> None:
        if event.type == "response.output_audio.delta" or event.type == "error":
            times.append(time.perf_counter())
            arrived.set()

    session = Session(omni, Settings(), receive)
    session.begin({"audio": {"input": {"turn_detection": None}}})
    try:
        for start in range(0, len(sound), PIECE):
            piece = (sound[start : start + PIECE] * 32767).astype("<i2").tobytes()
            event = {"type": "input_audio_buffer.append", "audio": base64.b64encode(piece).decode()}
            await session.receive(event)
            while session.is_behind:
                await asyncio.sleep(0.001)
        began = time.perf_counter()
        await session.receive({"type": "input_audio_buffer.commit"})
        await session.receive({"type": "response.create"})
        await asyncio.wait_for(arrived.wait(), 60)
        return times[0] - began
    finally:
        await session.close()


def speech(omni: Omni, seconds: float) -> np.ndarray:
    """What nano can say about nothing in particular, float32 [n] at 24 kHz."""
    said = omni.say("What is the capital of France?", seed=0).whole().speech
    return np.tile(said, int(seconds * RATE / len(said)) + 1)[: int(seconds * RATE)]


def measure(omni: Omni, lengths: list[float], rounds: int) -> dict[float, float]:
    """The median for each length; the lengths take turns, so that a busy machine slows all alike."""
    times: dict[float, list[float]] = {seconds: [] for seconds in lengths}
    sounds = {seconds: speech(omni, seconds) for seconds in lengths}
    for round in range(rounds + 1):
        for seconds, sound in sounds.items():
            taken = asyncio.run(first_audio(omni, sound))
            if round:  # the first warms up
                times[seconds].append(taken)
    return {seconds: statistics.median(taken) for seconds, taken in times.items()}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="nano")
    parser.add_argument("--seconds", type=float, nargs="+", default=[2.0, 30.0])
    parser.add_argument("--rounds", type=int, default=8)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    medians = measure(Omni.from_pretrained(asked.model), asked.seconds, asked.rounds)
    for seconds, taken in medians.items():
        print(f"{seconds:6.1f} s said   {1000 * taken:7.0f} ms to the first sound")
    ratio = max(medians.values()) / min(medians.values())
    print(
        json.dumps(
            {"first_audio_s": {str(k): round(v, 4) for k, v in medians.items()}, "ratio": round(ratio, 3)}
        )
    )


if __name__ == "__main__":
    main()
