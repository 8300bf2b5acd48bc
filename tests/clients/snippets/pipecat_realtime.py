import asyncio
import wave

from pipecat.frames.frames import (
    EndFrame,
    InputAudioRawFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.workers.runner import WorkerRunner


class Loudspeaker(FrameProcessor):
    """Stands where a transport's output would."""

    def __init__(self):
        super().__init__()
        self.speech, self.words, self.done = b"", "", asyncio.Event()

    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame):
            self.speech += frame.audio
        elif isinstance(frame, TTSTextFrame):
            self.words += frame.text
        elif isinstance(frame, TTSStoppedFrame):
            self.done.set()
        await self.push_frame(frame, direction)


async def main():
    llm = OpenAIRealtimeLLMService(api_key="none", base_url="ws://127.0.0.1:8000/v1/realtime")
    loudspeaker = Loudspeaker()
    worker = PipelineWorker(Pipeline([llm, loudspeaker]))
    started = asyncio.Event()

    @worker.event_handler("on_pipeline_started")
    async def on_started(worker, frame):
        started.set()

    async def ask():
        await started.wait()
        with wave.open("question.wav") as file:  # 24 kHz, 16 bits, mono
            question = file.readframes(file.getnframes()) + bytes(2 * 24_000)  # and a second of silence
        for start in range(0, len(question), 960):  # 20 ms, as a transport's input would
            piece = question[start : start + 960]
            await worker.queue_frame(InputAudioRawFrame(audio=piece, sample_rate=24_000, num_channels=1))
            await asyncio.sleep(0.02)
        await loudspeaker.done.wait()
        await worker.queue_frame(EndFrame())

    runner = WorkerRunner()
    await runner.add_workers(worker)
    await asyncio.gather(runner.run(), ask())
    print("said:", loudspeaker.words)
    with wave.open("reply.wav", "wb") as file:
        file.setparams((1, 2, 24_000, 0, "NONE", ""))
        file.writeframes(loudspeaker.speech)


asyncio.run(main())
