import base64
import wave

from openai import OpenAI

client = OpenAI(base_url="http://127.0.0.1:8000/v1", api_key="none")

with open("question.wav", "rb") as file:
    question = {"data": base64.b64encode(file.read()).decode(), "format": "wav"}
chunks = client.chat.completions.create(
    model="nano",
    modalities=["text", "audio"],
    audio={"voice": "alloy", "format": "pcm16"},
    messages=[{"role": "user", "content": [{"type": "input_audio", "input_audio": question}]}],
    stream=True,
)
transcript, speech = "", b""
for chunk in chunks:
    if chunk.choices and (audio := chunk.choices[0].delta.audio):
        transcript += audio.transcript or ""
        speech += base64.b64decode(audio.data or "")
print("said:", transcript)
with wave.open("reply.wav", "wb") as file:
    file.setparams((1, 2, 24_000, 0, "NONE", ""))
    file.writeframes(speech)
