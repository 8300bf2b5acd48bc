import asyncio
import wave

import aiohttp
from livekit import rtc
from livekit.plugins.openai.realtime import RealtimeModel


async def main():
    with wave.open("question.wav") as file:  # 24 kHz, 16 bits, mono
        question = file.readframes(file.getnframes()) + bytes(6 * 24_000)  # and three seconds of silence
    async with aiohttp.ClientSession() as http:
        model = RealtimeModel(base_url="http://127.0.0.1:8000/v1", api_key="none", http_session=http)
        session = model.session()
        answered = asyncio.get_running_loop().create_future()
        session.on("generation_created", answered.set_result)
        session.on(
            "input_audio_transcription_completed",
            lambda event: print("heard:", event.transcript) if event.is_final else None,
        )
        for start in range(0, len(question), 960):  # 20 ms, as a room's microphone would
            piece = question[start : start + 960]
            session.push_audio(rtc.AudioFrame(piece, 24_000, 1, len(piece) // 2))
            await asyncio.sleep(0.02)
        generation = await answered
        speech = b""
        async for message in generation.message_stream:
            print("said:", "".join([text async for text in message.text_stream]))
            async for frame in message.audio_stream:
                speech += bytes(frame.data)
        await session.aclose()
        await model.aclose()
    with wave.open("reply.wav", "wb") as file:
        file.setparams((1, 2, 24_000, 0, "NONE", ""))
        file.writeframes(speech)


asyncio.run(main())
