// The live element: two ribbons of silk threads, woven into one ring. The warm one is your voice, the cool one
// the reply's; both breathe while nobody speaks, and turn while there is thought.

const THREADS = 20; // of a ribbon
const POINTS = 132;
const FARTHEST = 0.42; // that a thread leaves the ring, of its radius
const TAU = 2 * Math.PI;
const STILL = matchMedia("(prefers-reduced-motion: reduce)");

/** How each state moves: speed of the drift, depth of the waves at rest, turns a second, strength of the lines. */
const MOODS = {
  idle: { speed: 0.18, depth: 0.035, turn: 0.01, ink: 0.7 },
  listening: { speed: 0.32, depth: 0.05, turn: 0.02, ink: 0.8 },
  hearing: { speed: 0.6, depth: 0.06, turn: 0.03, ink: 1 },
  thinking: { speed: 0.9, depth: 0.07, turn: 0.35, ink: 0.9 },
  speaking: { speed: 0.6, depth: 0.06, turn: 0.04, ink: 1 },
  away: { speed: 0.08, depth: 0.02, turn: 0, ink: 0.25 },
};

export class Orb {
  state = "idle";
  #canvas;
  #voices;
  #clock = 0;
  #angle = 0;
  #then = 0;
  #bands = { user: [0, 0, 0], reply: [0, 0, 0] };
  #mood = { ...MOODS.idle };

  /** voices: () => {user, reply}, each an AnalyserNode or null. */
  constructor(canvas, voices) {
    this.#canvas = canvas;
    this.#voices = voices;
    requestAnimationFrame((now) => this.#frame(now));
  }

  #frame(now) {
    requestAnimationFrame((next) => this.#frame(next));
    const passed = (now - this.#then) / 1000;
    const isQuiet = !this.#bands.user[0] && !this.#bands.reply[0];
    const interval = STILL.matches ? 0.25 : isQuiet ? 0.04 : 0.02;
    if (passed < interval || document.hidden) return;
    this.#then = now;
    this.#settle(Math.min(passed, 0.25));
    this.#draw();
  }

  /** Move towards what the state and the voices ask for; nothing jumps. */
  #settle(seconds) {
    const goal = MOODS[this.state];
    const ease = STILL.matches ? 1 : 1 - Math.exp(-seconds * 4);
    for (const name in goal) this.#mood[name] += (goal[name] - this.#mood[name]) * ease;
    if (!STILL.matches) {
      this.#clock += seconds * this.#mood.speed;
      this.#angle += seconds * this.#mood.turn * TAU;
    }
    const { user, reply } = this.#voices();
    this.#follow(this.#bands.user, user, seconds);
    this.#follow(this.#bands.reply, reply, seconds);
  }

  /** Low, middle and high of a voice, each in [0, 1]: fast to rise, slow to fall. */
  #follow(bands, analyser, seconds) {
    const bins = new Uint8Array(128);
    analyser?.getByteFrequencyData(bins);
    const width = analyser ? analyser.context.sampleRate / analyser.fftSize : 1;
    [
      [90, 400],
      [400, 1400],
      [1400, 4500],
    ].forEach(([from, to], i) => {
      const part = bins.subarray(Math.floor(from / width), Math.min(Math.ceil(to / width), bins.length));
      const mean = part.length ? part.reduce((sum, bin) => sum + bin, 0) / part.length / 255 : 0;
      const heard = Math.max(0, mean - 0.16) / 0.6;
      const rate = heard > bands[i] ? 22 : 6;
      bands[i] += (heard - bands[i]) * (1 - Math.exp(-seconds * rate));
      if (bands[i] < 0.004) bands[i] = 0;
    });
  }

  #draw() {
    const side = this.#fit();
    const pen = this.#canvas.getContext("2d");
    const style = getComputedStyle(this.#canvas);
    const ink = this.#mood.ink * parseFloat(style.getPropertyValue("--thread"));
    const ribbons = [
      { bands: this.#bands.reply, colour: colour(style, "--it"), way: -1 },
      { bands: this.#bands.user, colour: colour(style, "--you"), way: 1 },
    ];
    pen.setTransform(1, 0, 0, 1, side / 2, side / 2);
    pen.globalCompositeOperation = "source-over";
    pen.clearRect(-side / 2, -side / 2, side, side);
    for (const { bands, colour } of ribbons) this.#glow(pen, side, colour, loudness(bands));
    pen.globalCompositeOperation = style.getPropertyValue("--orb-blend").trim();
    pen.lineWidth = Math.max(0.9, side / 600);
    for (const { bands, colour, way } of ribbons) {
      const strength = ink * (0.75 + 0.9 * loudness(bands));
      for (let thread = 0; thread < THREADS; thread++) {
        const across = (2 * thread) / (THREADS - 1) - 1;
        pen.strokeStyle = rgba(
          colour,
          Math.min(1, strength * (0.3 + 0.7 * Math.cos((Math.PI / 2) * across))),
        );
        this.#thread(pen, side * 0.29, across, bands, way);
      }
    }
  }

  /** One of a ribbon's threads, `across` of it in [-1, 1]; the two ribbons drift opposite ways and cross. */
  #thread(pen, radius, across, bands, way) {
    const t = this.#clock * TAU * way;
    const turned = this.#angle * way + way * 0.8;
    const [low, middle, high] = bands;
    const { depth } = this.#mood;
    const size = radius * (1 + 0.02 * Math.sin(this.#clock * TAU * 0.5) + 0.1 * low);
    pen.beginPath();
    for (let i = 0; i <= POINTS; i++) {
      const angle = (i / POINTS) * TAU;
      const fold = Math.sin(angle * 2 + t * 0.7 + way) * across;
      const wave =
        (depth + 0.14 * low) * Math.sin(2 * angle + t * 0.6 + across * 0.7) +
        (depth * 0.7 + 0.18 * middle) * Math.sin(3 * angle - t * 0.9 + across * 1.4) +
        (depth * 0.25 + 0.12 * high) * Math.sin(7 * angle + t * 1.3 + across * 2.1);
      const swing = wave + (depth * 1.1 + 0.12 * (low + middle)) * fold;
      const r = size * (1 + FARTHEST * Math.tanh(swing / FARTHEST));
      const x = r * Math.cos(angle + turned);
      const y = r * Math.sin(angle + turned);
      if (i) pen.lineTo(x, y);
      else pen.moveTo(x, y);
    }
    pen.closePath();
    pen.stroke();
  }

  #glow(pen, side, colour, level) {
    const light = pen.createRadialGradient(0, 0, 0, 0, 0, side * 0.48);
    const strength = 0.05 + 0.22 * level;
    for (const at of [0, 0.2, 0.4, 0.6, 0.8, 1]) {
      light.addColorStop(at, rgba(colour, strength * Math.cos((Math.PI / 2) * at) ** 3));
    }
    pen.fillStyle = light;
    pen.fillRect(-side / 2, -side / 2, side, side);
  }

  /** As many pixels as the screen has for it. */
  #fit() {
    const side = Math.round(this.#canvas.clientWidth * Math.min(devicePixelRatio, 2));
    if (this.#canvas.width !== side) this.#canvas.width = this.#canvas.height = side;
    return side;
  }
}

function loudness(bands) {
  return (bands[0] + bands[1] + bands[2]) / 3;
}

/** "#rrggbb" of a custom property -> [red, green, blue] */
function colour(style, name) {
  return style
    .getPropertyValue(name)
    .trim()
    .match(/[0-9a-f]{2}/gi)
    .map((part) => parseInt(part, 16));
}

function rgba(parts, alpha) {
  return `rgba(${parts.map(Math.round).join(", ")}, ${alpha.toFixed(3)})`;
}
