from openai import OpenAI

client = OpenAI(base_url="http://127.0.0.1:8000/v1", api_key="none")

with open("question.wav", "rb") as file:
    print("heard:", client.audio.transcriptions.create(model="nano", file=file).text)
