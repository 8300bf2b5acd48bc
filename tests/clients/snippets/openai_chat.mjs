import { readFileSync, writeFileSync } from "node:fs";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: "http://127.0.0.1:8000/v1", apiKey: "none" });

const question = { data: readFileSync("question.wav").toString("base64"), format: "wav" };
const reply = await client.chat.completions.create({
  model: "nano",
  modalities: ["text", "audio"],
  audio: { voice: "alloy", format: "wav" },
  messages: [{ role: "user", content: [{ type: "input_audio", input_audio: question }] }],
});
const { audio } = reply.choices[0].message;
console.log("said:", audio.transcript);
writeFileSync("reply.wav", Buffer.from(audio.data, "base64"));
