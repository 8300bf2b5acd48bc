from openai import OpenAI

client = OpenAI(base_url="http://127.0.0.1:8000/v1", api_key="none")

with client.audio.speech.with_streaming_response.create(
    model="nano", voice="marin", input="The capital of France is Paris.", response_format="wav"
) as speech:
    speech.stream_to_file("reply.wav")
