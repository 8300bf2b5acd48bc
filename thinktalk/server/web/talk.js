// Talking: what the person does and what the server says, brought together. Knows the protocol, not the page.

import { decode, WIRE_RATE } from "./pcm.js";
import { Pace, USUAL_TEMPO } from "./pace.js";
import { split } from "./transcript.js";
import { Uplink } from "./uplink.js";

/** What ends a turn when hands are free, and after how long a silence. */
const REPLIES = { create_response: true, interrupt_response: true };
const TURNS = {
  pause: { ms: 500, detection: { type: "server_vad", silence_duration_ms: 500, ...REPLIES } },
  sentence: { ms: 300, detection: { type: "semantic_vad", eagerness: "auto", ...REPLIES } },
};
const SHORTEST_HOLD_MS = 250;
/** Errors that only say that something was over already. */
const HARMLESS = new Set(["response_cancel_not_active", "conversation_already_has_active_response"]);

/**
 * Emits "state" (idle | listening | hearing | thinking | speaking | away), "latency" ({ms, kind}), "trouble"
 * (words), "light" ({id, index}) and "settled" (an entry).
 */
export class Talk extends EventTarget {
  settings = { voice: null, handsFree: true, aloud: true, speed: 1, turns: "pause" };
  state = "away";
  #response = null; // id of the reply that is being made
  #asked = false; // ask for a reply as soon as that one is over
  #awaited = false; // a turn is over and its reply has not begun
  #cancelled = new Set();
  #hearing = false;
  #pressed = 0; // when the button went down
  #turnEnded = null;
  #paces = new Map(); // item -> Pace
  #tempo = USUAL_TEMPO; // at speed 1
  #uplink;

  constructor({ link, conversation, player, microphone, tray, camera }) {
    super();
    this.#uplink = new Uplink(link);
    Object.assign(this, { link, conversation, player, microphone, tray, camera });
    link.addEventListener("event", ({ detail }) => this.#take(detail));
    link.addEventListener("status", () => this.#lose());
    microphone.addEventListener("chunk", ({ detail }) => this.#speak(detail));
    microphone.addEventListener("lost", () => this.#trouble("The microphone has gone away."));
    player.addEventListener("first", ({ detail }) => this.#first("sound", detail.at));
    player.addEventListener("progress", ({ detail }) => this.#light(detail.item, detail.ms));
    player.addEventListener("ended", ({ detail }) => this.#settle(detail.item));
  }

  // ------------------------------------------------------------------------------- what the person does

  /** Hands free: let the microphone be heard, or not any more. */
  async listen(on) {
    if (on) {
      await this.player.start();
      await this.microphone.start();
    } else {
      // Mid-sentence, a second of silence lets the server end the turn as if one had paused.
      if (this.#hearing) this.#uplink.speak(new Float32Array(WIRE_RATE));
      this.microphone.stop();
    }
    this.#tell();
  }

  /** Begin anew with hands free, or with a button to hold. */
  choose(handsFree) {
    this.microphone.stop();
    this.settings.handsFree = handsFree;
    this.#hearing = false;
    this.link.send({ type: "input_audio_buffer.clear" });
    this.configure();
    this.#tell();
  }

  /** The talk button goes down: the reply, if there is one, gives way. */
  async press() {
    if (this.#pressed) return;
    this.#pressed = performance.now();
    await this.player.start();
    await this.microphone.start().catch((error) => {
      this.#pressed = 0;
      throw error;
    });
    await this.interrupt();
    if (!this.#pressed) return; // let go meanwhile
    this.link.send({ type: "input_audio_buffer.clear" });
    this.#hearing = true;
    this.#pressed = performance.now();
    this.#tell();
  }

  /** The talk button goes up: what was said is to be answered. */
  release() {
    if (!this.#pressed) return;
    const held = performance.now() - this.#pressed;
    const wasHearing = this.#hearing;
    this.microphone.flush();
    this.#pressed = 0;
    this.#hearing = false;
    if (!wasHearing || held < SHORTEST_HOLD_MS) {
      this.link.send({ type: "input_audio_buffer.clear" });
      this.#trouble("Hold the button, or the space bar, for as long as you speak.");
    } else {
      this.#turnEnded = performance.now();
      this.#showPictures();
      this.link.send({ type: "input_audio_buffer.commit" });
      this.#ask();
    }
    this.#tell();
  }

  /** A typed message, with the pictures that wait. */
  async type(text) {
    await this.player.start();
    await this.interrupt();
    const content = this.#pictures();
    if (text) content.push({ type: "input_text", text });
    if (!content.length) return;
    this.#turnEnded = performance.now();
    this.#create(content, { text, status: "done" });
    this.#ask();
  }

  /** Fall silent, make no more of the reply, and let what was not heard leave the conversation. */
  async interrupt({ cancels = true } = {}) {
    if (this.#response) {
      this.#cancelled.add(this.#response);
      if (cancels) this.link.send({ type: "response.cancel" });
    }
    this.#awaited = this.#asked = false;
    const heard = await this.player.stop();
    for (const { item, ms } of heard) {
      this.link.send({
        type: "conversation.item.truncate",
        item_id: item,
        content_index: 0,
        audio_end_ms: ms,
      });
      this.conversation.put(item, { status: "cut", heard: this.#light(item, ms) });
    }
    this.#tell();
  }

  /** Tell the server how this conversation is to be held; may change at any time. */
  configure() {
    const { voice, handsFree, aloud, speed, turns } = this.settings;
    const format = { type: "audio/pcm", rate: WIRE_RATE };
    const input = {
      format,
      transcription: { model: this.link.model },
      turn_detection: handsFree ? TURNS[turns].detection : null,
    };
    const output = { format, speed, ...(voice && { voice }) };
    const session = {
      type: "realtime",
      output_modalities: [aloud ? "audio" : "text"],
      audio: { input, output },
    };
    this.link.send({ type: "session.update", session });
  }

  // ------------------------------------------------------------------------------- what the server says

  #take(event) {
    if (event.type === "input_audio_buffer.speech_started") this.#showPictures();
    this.conversation.apply(event);
    switch (event.type) {
      case "session.created":
        return this.#begin();
      case "input_audio_buffer.speech_started":
        this.#hearing = true;
        this.interrupt({ cancels: false }); // the server does that itself
        break;
      case "input_audio_buffer.speech_stopped":
        this.#hearing = false;
        this.#awaited = true;
        this.#turnEnded = this.#spokenUntil(event.audio_end_ms);
        break;
      case "response.created":
        this.#response = event.response.id;
        this.#awaited = false;
        break;
      case "response.output_text.delta":
        this.#first("word", performance.now());
        break;
      case "response.output_audio.delta":
        this.#play(event);
        break;
      case "response.output_audio.done":
        this.player.end(event.item_id);
        break;
      case "response.output_text.done":
        this.#settle(event.item_id);
        break;
      case "response.done":
        this.#done(event.response);
        break;
      case "error":
        if (HARMLESS.has(event.error.code)) break;
        this.#awaited = false;
        this.#trouble(event.error.message);
        break;
    }
    this.#tell();
  }

  /** A new session knows nothing: what was said before a loss is told to it again, as text. */
  #begin() {
    this.#uplink.reset();
    this.configure();
    for (const { id, role, text, images, heard } of this.conversation.entries) {
      const content = images.map(asPart);
      const known = split(text).slice(0, heard).join("").trim();
      if (known) content.push({ type: role === "user" ? "input_text" : "output_text", text: known });
      if (content.length) this.#tellItem(id, role, content);
      else this.conversation.remove(id);
    }
  }

  #play({ response_id, item_id, delta }) {
    if (this.#cancelled.has(response_id)) return;
    const samples = decode(delta);
    if (!this.#paces.has(item_id)) this.#paces.set(item_id, new Pace(this.#tempo / this.settings.speed));
    this.#paces.get(item_id).add(samples);
    this.player.push(item_id, samples);
  }

  #done({ id, status, status_details }) {
    if (this.#response === id) this.#response = null;
    for (const pace of this.#paces.values()) pace.finish();
    if (status === "failed") this.#trouble(status_details?.error?.message ?? "The reply failed.");
    if (this.#asked) this.#ask();
  }

  /** The session is gone, or is not there yet; of a reply counts what was heard until now. */
  #lose() {
    if (this.link.status !== "open") {
      this.interrupt({ cancels: false });
      this.#response = null;
      this.#hearing = false;
    }
    this.#tell();
  }

  // ------------------------------------------------------------------------------- helping hands

  /** When the last word was said of a turn that ended at `ms` of the sound. */
  #spokenUntil(ms) {
    const silence = TURNS[this.settings.turns].ms;
    return this.#uplink.when(ms - silence) ?? performance.now() - silence;
  }

  /** A reply, once the one before it is over. */
  #ask() {
    if (this.link.status !== "open") return;
    this.#awaited = true;
    this.#asked = this.#response !== null;
    if (!this.#asked) this.link.send({ type: "response.create" });
    this.#tell();
  }

  /** Say something in writing, or in pictures. */
  #create(content, known) {
    const id = newId();
    this.conversation.put(id, { role: "user", images: imagesOf(content), ...known });
    this.#tellItem(id, "user", content);
  }

  #tellItem(id, role, content) {
    const item = { id, type: "message", role, content };
    this.link.send({ type: "conversation.item.create", item });
  }

  #pictures() {
    const frame = this.camera.frame();
    return [...this.tray.take(), ...(frame ? [frame] : [])].map(asPart);
  }

  /** Pictures stand before the spoken words that ask about them. */
  #showPictures() {
    const content = this.#pictures();
    if (content.length) this.#create(content, { status: "done" });
  }

  #speak(chunk) {
    if (this.settings.handsFree || this.#pressed) this.#uplink.speak(chunk);
  }

  #first(kind, at) {
    if (this.#turnEnded === null) return;
    this.#emit("latency", { kind, ms: Math.max(0, at - this.#turnEnded) });
    this.#turnEnded = null;
  }

  /** Light the word that is spoken at `ms` of an item; gives how many have been spoken before it. */
  #light(id, ms) {
    const words = split(this.conversation.get(id)?.text ?? "");
    const index = words.length ? (this.#paces.get(id)?.word(words, ms) ?? 0) : 0;
    if (words.length) this.#emit("light", { id, index });
    return index;
  }

  #settle(id) {
    const entry = this.conversation.get(id);
    const words = split(entry?.text ?? "");
    const tempo = this.#paces.get(id)?.tempo(words);
    if (words.length && tempo) this.#tempo = tempo * this.settings.speed;
    this.#paces.delete(id);
    if (entry) this.#emit("settled", entry);
    this.#tell();
  }

  #trouble(words) {
    this.#emit("trouble", words);
  }

  #tell() {
    const state = this.#look();
    if (state === this.state) return;
    this.state = state;
    this.#emit("state", state);
  }

  #look() {
    if (this.link.status !== "open") return "away";
    if (this.#hearing) return "hearing";
    if (this.player.active) return "speaking";
    if (this.#response || this.#awaited) return "thinking";
    return this.microphone.open && this.settings.handsFree ? "listening" : "idle";
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

function asPart(image_url) {
  return { type: "input_image", image_url };
}

function imagesOf(content) {
  return content.filter((part) => part.type === "input_image").map((part) => part.image_url);
}

/** Not `crypto.randomUUID`, which browsers keep from pages without https. */
function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return `item_${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
