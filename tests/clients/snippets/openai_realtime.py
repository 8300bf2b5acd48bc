import asyncio
import base64
import wave

from openai import AsyncOpenAI

client = AsyncOpenAI(
    base_url="http://127.0.0.1:8000/v1", websocket_base_url="ws://127.0.0.1:8000/v1", api_key="none"
)


async def main():
    with wave.open("question.wav") as file:  # 24 kHz, 16 bits, mono
        question = file.readframes(file.getnframes())
    speech = b""
    async with client.realtime.connect(model="nano") as session:
        await session.session.update(
            session={"type": "realtime", "audio": {"input": {"transcription": {"model": "nano"}}}}
        )
        second_of_silence = bytes(2 * 24_000)  # tells the server that the question has ended
        await session.input_audio_buffer.append(audio=base64.b64encode(question + second_of_silence).decode())
        heard = done = False
        async for event in session:
            if event.type == "conversation.item.input_audio_transcription.completed":
                heard = True
                print("heard:", event.transcript)
            elif event.type == "response.output_audio.delta":
                speech += base64.b64decode(event.delta)
            elif event.type == "response.output_audio_transcript.done":
                print("said:", event.transcript)
            elif event.type == "error":
                raise SystemExit(event.error.message)
            done = done or event.type == "response.done"
            if heard and done:
                break
    with wave.open("reply.wav", "wb") as file:
        file.setparams((1, 2, 24_000, 0, "NONE", ""))
        file.writeframes(speech)


asyncio.run(main())
