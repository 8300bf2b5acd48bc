// Which word of a reply is being spoken. The wire has no times of words, so they are estimated: words pass only
// while there is voice in the sound, each for as long as it has letters, and once the whole reply is here its
// words are spread over all of its voice. Pauses thus fall where they are heard.

import { WIRE_RATE, rms } from "./pcm.js";

const FRAME_MS = 20;
const FRAME = (WIRE_RATE * FRAME_MS) / 1000;
const QUIET = 0.008; // below this root mean square there is no voice
/** Voiced frames for each letter of a voice that has not been heard yet: some fifteen letters a second. */
export const USUAL_TEMPO = 3.3;

export class Pace {
  #tempo;
  #voiced = [0]; // voiced frames before each frame
  #left = new Float32Array(0);
  #whole = false;

  /** tempo: what `tempo` gave for the reply before, in voiced frames for each letter. */
  constructor(tempo = USUAL_TEMPO) {
    this.#tempo = tempo;
  }

  /** More of the reply's sound, float32 at 24 kHz. */
  add(samples) {
    const all = new Float32Array(this.#left.length + samples.length);
    all.set(this.#left);
    all.set(samples, this.#left.length);
    let at = 0;
    for (; at + FRAME <= all.length; at += FRAME) {
      const isVoice = rms(all.subarray(at, at + FRAME)) > QUIET;
      this.#voiced.push(this.#voiced.at(-1) + (isVoice ? 1 : 0));
    }
    this.#left = all.slice(at);
  }

  /** All of its sound, and of its text, has come. */
  finish() {
    this.#whole = true;
  }

  /** Voiced frames for each letter: known once the reply is whole, and until then taken from before. */
  tempo(words) {
    return this.#whole && words.length ? this.#voiced.at(-1) / sum(words.map(weight)) : this.#tempo;
  }

  /** Index of the word that is spoken at `ms`. */
  word(words, ms) {
    const voiced = this.#voiced[Math.min(Math.floor(ms / FRAME_MS), this.#voiced.length - 1)];
    const tempo = this.tempo(words);
    let passed = 0;
    const index = words.findIndex((word) => (passed += weight(word) * tempo) > voiced);
    return index < 0 ? words.length - 1 : index;
  }
}

/** How long a word takes, in letters, the space behind it being one; a digit is a whole word when spoken. */
function weight(word) {
  return 1 + sum([...word].map((sign) => (/\p{N}/u.test(sign) ? 4 : /\p{L}/u.test(sign) ? 1 : 0)));
}

function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}
