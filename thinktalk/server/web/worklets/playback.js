// The audio thread's end of the loudspeaker: plays what is queued without a gap, counts what was played of each
// item, and falls silent within some 10 ms when told to stop.
//
// in:  {push: item, samples} | {end: item} | {stop: true}
// out: {item, played} every 25 ms of sound | {ended: item} | {stopped: {item: played}} | {dry: true}

const FIRST_HOLD_S = 0.06; // what is collected before a reply begins
const MOST_HOLD_S = 0.64; // and at the most, after the queue has run dry some times
const FADE = 256; // samples
const REPORT = 640;

class Playback extends AudioWorkletProcessor {
  #queue = []; // {item, samples, at} or {item, end}
  #played = {}; // item -> samples
  #holding = true;
  #hold = FIRST_HOLD_S * sampleRate;
  #fade = 0;
  #unreported = 0;

  constructor() {
    super();
    this.port.onmessage = ({ data }) => {
      if (data.push) this.#queue.push({ item: data.push, samples: data.samples, at: 0 });
      if (data.end) this.#queue.push({ item: data.end, end: true });
      if (data.stop) this.#stop();
    };
  }

  #stop() {
    this.stopping = new Set([...Object.keys(this.#played), ...this.#queue.map((piece) => piece.item)]);
    if (this.#holding) this.#silence();
    else this.#fade = FADE;
  }

  #silence() {
    const played = Object.fromEntries([...this.stopping].map((item) => [item, this.#played[item] ?? 0]));
    this.#queue = this.#queue.filter((piece) => !this.stopping.has(piece.item));
    this.#played = {};
    this.#holding = true;
    this.#fade = 0;
    this.stopping = null;
    this.port.postMessage({ stopped: played });
  }

  /** Whether enough is there to begin: a hold's worth, or a whole ending. */
  #ready() {
    let waiting = 0;
    for (const piece of this.#queue) {
      if (piece.end) return true;
      waiting += piece.samples.length - piece.at;
    }
    return waiting >= this.#hold;
  }

  process(_, [[out]]) {
    if (this.#holding && this.#ready()) this.#holding = false;
    let filled = 0;
    while (!this.#holding && filled < out.length) {
      const piece = this.#queue[0];
      if (!piece) {
        this.#run_dry();
      } else if (piece.end) {
        this.#queue.shift();
        this.#report(piece.item);
        this.port.postMessage({ ended: piece.item });
        delete this.#played[piece.item];
        this.#hold = FIRST_HOLD_S * sampleRate;
        this.#holding = true;
      } else {
        filled += this.#play(piece, out, filled);
      }
    }
    return true;
  }

  /** The reply comes slower than it is spoken: wait for more of it than last time. */
  #run_dry() {
    this.#holding = true;
    this.#hold = Math.min(2 * this.#hold, MOST_HOLD_S * sampleRate);
    if (this.#fade) this.#silence();
    else this.port.postMessage({ dry: true });
  }

  #play(piece, out, from) {
    const n = Math.min(out.length - from, piece.samples.length - piece.at);
    for (let i = 0; i < n; i++) {
      const gain = this.#fade ? --this.#fade / FADE : this.stopping ? 0 : 1;
      out[from + i] = piece.samples[piece.at + i] * gain;
    }
    piece.at += n;
    this.#played[piece.item] = (this.#played[piece.item] ?? 0) + n;
    if (piece.at === piece.samples.length) this.#queue.shift();
    if ((this.#unreported += n) >= REPORT) this.#report(piece.item);
    if (this.stopping && !this.#fade) this.#silence();
    return n;
  }

  #report(item) {
    this.#unreported = 0;
    this.port.postMessage({ item, played: this.#played[item] ?? 0 });
  }
}

registerProcessor("playback", Playback);
