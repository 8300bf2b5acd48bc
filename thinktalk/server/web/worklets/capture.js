// The audio thread's end of the microphone: hands on what it hears, some 10 ms at a time.

const QUANTA = 4;

class Capture extends AudioWorkletProcessor {
  #pieces = [];

  process([[heard]]) {
    if (!heard) return true;
    this.#pieces.push(heard.slice());
    if (this.#pieces.length === QUANTA) {
      const samples = new Float32Array(QUANTA * heard.length);
      this.#pieces.forEach((piece, i) => samples.set(piece, i * heard.length));
      this.port.postMessage(samples, [samples.buffer]);
      this.#pieces = [];
    }
    return true;
  }
}

registerProcessor("capture", Capture);
