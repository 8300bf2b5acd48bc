// The loudspeaker: replies play without a gap, and it is known how much of each has been heard.

import { WIRE_RATE, rms } from "./pcm.js";

/**
 * Emits "first" ({item, at}: when its first sound leaves), "progress" ({item, ms}), "ended" ({item}) and
 * "dry" (a reply comes slower than it is spoken). Times are in milliseconds of the item's own sound.
 */
export class Player extends EventTarget {
  #context = null;
  #node = null;
  #built = null;
  #stopped = null; // while it falls silent: whom to tell
  #begun = new Set();
  #dropped = new Set();
  current = null;
  analyser = null;

  /** Must first be called from a click or a key: browsers let no page sound by itself. */
  async start() {
    this.#built ??= this.#build();
    await this.#built;
    if (this.#context.state !== "running") this.#context.resume();
  }

  async #build() {
    const context = (this.#context = new AudioContext({ sampleRate: WIRE_RATE, latencyHint: "interactive" }));
    context.resume(); // at once: some browsers no longer count the click once something was awaited
    await context.audioWorklet.addModule(new URL("worklets/playback.js", import.meta.url));
    this.#node = new AudioWorkletNode(context, "playback", { numberOfInputs: 0, outputChannelCount: [1] });
    this.analyser = new AnalyserNode(context, { fftSize: 512, smoothingTimeConstant: 0.6 });
    this.#node.connect(this.analyser).connect(context.destination);
    this.#node.port.onmessage = ({ data }) => this.#hear(data);
  }

  /** Whether sound is being played or waits to be. */
  get active() {
    return this.current !== null;
  }

  /** Loudness of what is being played at this moment, [0, 1]. */
  get level() {
    if (!this.analyser) return 0;
    const samples = new Float32Array(this.analyser.fftSize);
    this.analyser.getFloatTimeDomainData(samples);
    return rms(samples);
  }

  /** Queue samples (float32, 24 kHz) of an item; those of an item that was stopped are let go. */
  push(item, samples) {
    if (!this.#node || this.#dropped.has(item)) return;
    this.current ??= item;
    this.#node.port.postMessage({ push: item, samples }, [samples.buffer]);
  }

  /** No more sound will come for an item. */
  end(item) {
    if (!this.#node || this.#dropped.has(item)) return;
    this.#node.port.postMessage({ end: item });
  }

  /** Fall silent at once. Gives [{item, ms}]: what had been heard of each item that was not heard to its end. */
  async stop() {
    if (!this.active) return [];
    this.current = null;
    const stopped = new Promise((resolve) => (this.#stopped = resolve));
    this.#node.port.postMessage({ stop: true });
    const played = await stopped;
    this.#stopped = null;
    return Object.entries(played).map(([item, samples]) => {
      this.drop(item);
      return { item, ms: this.#heard(samples) };
    });
  }

  /** Whatever still comes of an item is not to be played. */
  drop(item) {
    this.#dropped.add(item);
  }

  /** What has left the loudspeaker when so many samples have left the queue, in ms. */
  #heard(samples) {
    const { baseLatency = 0, outputLatency = 0 } = this.#context;
    return Math.max(0, Math.round((samples / WIRE_RATE - baseLatency - outputLatency) * 1000));
  }

  #hear({ item, played, ended, stopped, dry }) {
    if (stopped) return this.#stopped(stopped);
    if (dry) return this.#emit("dry", {});
    if (ended) {
      if (this.current === ended) this.current = null;
      return this.#emit("ended", { item: ended });
    }
    if (this.#stopped || this.#dropped.has(item)) return;
    this.current = item;
    if (!this.#begun.has(item)) {
      this.#begun.add(item);
      const since = (played / WIRE_RATE) * 1000;
      const { baseLatency = 0, outputLatency = 0 } = this.#context;
      this.#emit("first", { item, at: performance.now() - since + (baseLatency + outputLatency) * 1000 });
    }
    this.#emit("progress", { item, ms: this.#heard(played) });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
