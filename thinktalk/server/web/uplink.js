// The user's sound on its way to the server, and when each part of it was spoken.

import { encode, WIRE_RATE } from "./pcm.js";

const MOST_MARKS = 1500; // a minute of chunks

export class Uplink {
  #link;
  #sent = 0; // ms of sound in this session
  #marks = []; // [ms of sound sent, when]

  constructor(link) {
    this.#link = link;
  }

  /** A new session counts from nothing. */
  reset() {
    this.#sent = 0;
    this.#marks = [];
  }

  /** Send a chunk, float32 at 24 kHz, if there is a connection. */
  speak(chunk) {
    if (!this.#link.send({ type: "input_audio_buffer.append", audio: encode(chunk) })) return;
    this.#sent += (chunk.length / WIRE_RATE) * 1000;
    this.#marks.push([this.#sent, performance.now()]);
    if (this.#marks.length > MOST_MARKS) this.#marks.shift();
  }

  /** When the sound at `ms` of this session was spoken; undefined where that is not known. */
  when(ms) {
    return this.#marks.find(([sent]) => sent >= ms)?.[1];
  }
}
