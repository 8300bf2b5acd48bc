"""Sessions whose sockets die while their users speak: nothing of them stays.

`THINKTALK_KILLED=200` says how many; the suite drops 24.
"""

import asyncio
import base64
import gc
import json
import os
from pathlib import Path

import numpy as np
import pytest
from websockets.asyncio.client import connect

from thinktalk.server.realtime.session import Session

from .conftest import FakeOmni, spoken
from .sockets import serving

pytestmark = pytest.mark.anyio

KILLED = int(os.environ.get("THINKTALK_KILLED", "24"))
AT_ONCE = 8
SAMPLES = (0.3 * np.sin(np.arange(48_000) * 0.1) * 32767).astype("<i2")  # two seconds
SPEECH = json.dumps(
    {"type": "input_audio_buffer.append", "audio": base64.b64encode(SAMPLES.tobytes()).decode()}
)


def resident() -> float:
    """MiB that this process holds."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


async def drop(at: str) -> None:
    """A session in which a reply is under way and the user speaks, until its network goes away."""
    async with connect(f"ws://{at}/v1/realtime", compression=None) as socket:
        await socket.recv()
        await socket.send(json.dumps({"type": "response.create"}))
        await socket.send(SPEECH)
        async with asyncio.timeout(20):
            while json.loads(await socket.recv())["type"] != "input_audio_buffer.speech_started":
                pass
        socket.transport.abort()


async def test_sessions_that_are_killed_mid_speech_leave_nothing():
    omni = FakeOmni()
    omni.script = ["gate", *spoken("Yes.", 2)]
    with serving(omni, max_sessions=AT_ONCE) as server:

        async def emptied() -> None:
            async with asyncio.timeout(20):
                while server.sessions.running:
                    await asyncio.sleep(0.01)

        def sessions() -> int:
            gc.collect()
            return sum(isinstance(thing, Session) for thing in gc.get_objects())

        others = sessions()
        memory: list[float] = []
        for _ in range(0, KILLED, AT_ONCE):
            await asyncio.gather(*(drop(server.at) for _ in range(AT_ONCE)))
            await emptied()
            omni.streams.clear()
            memory.append(resident())
        assert server.figure("thinktalk_sessions") == 0
        assert sessions() <= others
        print(f"{KILLED} killed; {memory[0]:.1f} MiB after the first {AT_ONCE}, {memory[-1]:.1f} at the end")
        assert memory[-1] - memory[0] < 8
