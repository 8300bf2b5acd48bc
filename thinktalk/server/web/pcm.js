// Sound as the wire has it: 16-bit little-endian samples at 24 kHz, in base64.

export const WIRE_RATE = 24_000;

/** float32 in [-1, 1] -> base64 */
export function encode(samples) {
  const bytes = new DataView(new ArrayBuffer(samples.length * 2));
  samples.forEach((sample, i) => {
    const limited = Math.max(-1, Math.min(1, sample));
    bytes.setInt16(2 * i, Math.round(limited * 32767), true);
  });
  return btoa(String.fromCharCode(...new Uint8Array(bytes.buffer)));
}

/** base64 -> float32 in [-1, 1] */
export function decode(text) {
  const raw = atob(text);
  const samples = new Float32Array(raw.length >> 1);
  for (let i = 0; i < samples.length; i++) {
    const unsigned = raw.charCodeAt(2 * i) | (raw.charCodeAt(2 * i + 1) << 8);
    samples[i] = ((unsigned << 16) >> 16) / 32768;
  }
  return samples;
}

/** Root of the mean square. */
export function rms(samples) {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return Math.sqrt(sum / (samples.length || 1));
}

const REACH = 12; // zero crossings of the sinc on either side of a sample
const FINENESS = 2048; // entries of its table between two of them
const KERNEL = Float32Array.from({ length: REACH * FINENESS }, (_, i) => {
  const angle = (Math.PI * i) / FINENESS;
  return i ? (Math.sin(angle) / angle) * (0.5 + 0.5 * Math.cos(angle / REACH)) : 1;
});

/**
 * From any rate to another, piece by piece: a windowed sinc that also takes away what the new rate cannot
 * hold. The pieces may be cut anywhere; the sound comes out the same.
 */
export class Resampler {
  #left = new Float32Array(0);
  #next = 0; // where the next sample out lies, in samples of #left

  constructor(from, to = WIRE_RATE) {
    this.step = from / to;
    this.cutoff = Math.min(1, 1 / this.step) * 0.94;
    this.reach = Math.ceil(REACH / this.cutoff);
    this.#left = new Float32Array(this.reach);
    this.#next = this.reach;
  }

  /** The samples that can be told by now, `reach` of those given being kept for the next call. */
  feed(samples) {
    if (this.step === 1) return samples;
    const { reach, step, cutoff } = this;
    const all = new Float32Array(this.#left.length + samples.length);
    all.set(this.#left);
    all.set(samples, this.#left.length);
    const out = [];
    while (this.#next + reach < all.length) {
      const first = Math.ceil(this.#next - reach);
      const last = Math.floor(this.#next + reach);
      let sum = 0;
      for (let i = first; i <= last; i++) sum += all[i] * cutoff * kernel((i - this.#next) * cutoff);
      out.push(sum);
      this.#next += step;
    }
    const done = Math.max(0, Math.floor(this.#next) - reach);
    this.#left = all.slice(done);
    this.#next -= done;
    return Float32Array.from(out);
  }
}

/** sinc under a Hann window that ends at REACH, looked up. */
function kernel(x) {
  return KERNEL[Math.round(Math.abs(x) * FINENESS)] ?? 0;
}
