import { readFileSync, writeFileSync } from "node:fs";
import { RealtimeAgent, RealtimeSession } from "@openai/agents-realtime";

const session = new RealtimeSession(new RealtimeAgent({ name: "nano" }), {
  transport: "websocket",
  model: "nano",
});
const speech = [];
session.on("audio", (event) => speech.push(Buffer.from(event.data)));
session.on("error", ({ error }) => {
  console.error(error);
  process.exit(1);
});
const said = new Promise((resolve) => session.on("agent_end", (context, agent, output) => resolve(output)));

await session.connect({ apiKey: "none", url: "ws://127.0.0.1:8000/v1/realtime?model=nano" });
const question = readFileSync("question.wav").subarray(44); // 24 kHz, 16 bits, mono, behind its header
session.sendAudio(Uint8Array.from(question).buffer);
session.sendAudio(new ArrayBuffer(2 * 24000)); // a second of silence: the question has ended
console.log("said:", await said);
session.close();

const header = Buffer.alloc(44);
const sound = Buffer.concat(speech);
header.write("RIFF", 0);
header.writeUInt32LE(36 + sound.length, 4);
header.write("WAVEfmt ", 8);
header.writeUInt32LE(16, 16);
header.writeUInt16LE(1, 20);
header.writeUInt16LE(1, 22);
header.writeUInt32LE(24000, 24);
header.writeUInt32LE(48000, 28);
header.writeUInt16LE(2, 32);
header.writeUInt16LE(16, 34);
header.write("data", 36);
header.writeUInt32LE(sound.length, 40);
writeFileSync("reply.wav", Buffer.concat([header, sound]));
