// The microphone: asked for once, then small chunks at the wire's rate while someone listens.

import { Resampler, WIRE_RATE, rms } from "./pcm.js";

const CHUNK = WIRE_RATE * 0.04;

/** Why there is no microphone, in words for the person in front of it. */
export class NoMicrophone extends Error {}

const REASONS = {
  NotAllowedError:
    "The browser does not let this page use the microphone. Allow it beside the address, or type.",
  NotFoundError: "There is no microphone here. You can type instead.",
  NotReadableError: "Another program holds the microphone. Close it, or type.",
};

/** Emits "chunk" (float32 at 24 kHz in `detail`) while `open`, and "lost" when the device goes away. */
export class Microphone extends EventTarget {
  #context = null;
  #stream = null;
  #pieces = [];
  #waiting = 0;
  analyser = null;
  level = 0;

  get open() {
    return this.#stream !== null;
  }

  async start() {
    if (this.open) return;
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new NoMicrophone(
        "Browsers give the microphone only to https pages and to localhost. You can type.",
      );
    }
    let stream;
    try {
      const audio = {
        echoCancellation: true,
        noiseSuppression: true,
        autoGainControl: true,
        channelCount: 1,
      };
      stream = await navigator.mediaDevices.getUserMedia({ audio });
    } catch (error) {
      throw new NoMicrophone(
        REASONS[error.name] ?? `The microphone does not start (${error.name}). You can type.`,
        { cause: error },
      );
    }
    // The device's own rate: some browsers refuse to join a microphone to a context of another one.
    const context = (this.#context = new AudioContext({ latencyHint: "interactive" }));
    await context.audioWorklet.addModule(new URL("worklets/capture.js", import.meta.url));
    const source = context.createMediaStreamSource(stream);
    const capture = new AudioWorkletNode(context, "capture", {
      numberOfOutputs: 0,
      channelCount: 1,
      channelCountMode: "explicit",
    });
    const resampler = new Resampler(context.sampleRate);
    capture.port.onmessage = ({ data }) => this.#hear(resampler.feed(data));
    this.analyser = new AnalyserNode(context, { fftSize: 512, smoothingTimeConstant: 0.6 });
    source.connect(capture);
    source.connect(this.analyser);
    stream.getAudioTracks()[0].onended = () => {
      this.stop();
      this.dispatchEvent(new Event("lost"));
    };
    this.#stream = stream;
    await context.resume();
  }

  /** Let go of the device, so that the browser's sign of recording goes out. */
  stop() {
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#context?.close();
    this.#stream = this.#context = this.analyser = null;
    this.#pieces = [];
    this.#waiting = this.level = 0;
  }

  /** Hand on what is left of a chunk: the person has let go of the button. */
  flush() {
    if (!this.#waiting) return;
    const chunk = new Float32Array(this.#waiting);
    let at = 0;
    for (const piece of this.#pieces) {
      chunk.set(piece, at);
      at += piece.length;
    }
    this.#pieces = [];
    this.#waiting = 0;
    this.level = rms(chunk);
    this.dispatchEvent(new CustomEvent("chunk", { detail: chunk }));
  }

  #hear(samples) {
    if (!this.open) return;
    this.#pieces.push(samples);
    this.#waiting += samples.length;
    if (this.#waiting >= CHUNK) this.flush();
  }
}
