// The WebSocket to /v1/realtime: events out, events in, and coming back after a loss.

import { KeyNeeded, door } from "./access.js";

const LONGEST_WAIT_S = 15;
const OPENING_MS = 10_000;

/**
 * Emits "event" (a server event in `detail`) and "status" with {status, wait}:
 * connecting | open | lost (another attempt follows in `wait` seconds; `refused` if the server never let us in) |
 * locked (a key is needed) | closed.
 */
export class Link extends EventTarget {
  #socket = null;
  #timer = null;
  #attempts = 0;
  status = "closed";

  /** Open a new session, instead of the present one if there is any. */
  async open(model) {
    this.close();
    this.model = model;
    this.#say("connecting");
    const attempt = (this.attempt = {});
    let where;
    try {
      where = await door(model);
    } catch (error) {
      if (attempt !== this.attempt) return;
      return error instanceof KeyNeeded ? this.#say("locked", { message: error.message }) : this.#retry();
    }
    if (attempt !== this.attempt) return;
    const socket = (this.#socket = new WebSocket(where.url, where.protocols));
    const given = setTimeout(() => socket.close(), OPENING_MS);
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket) return;
      const event = JSON.parse(data);
      if (event.type === "session.created") {
        clearTimeout(given);
        this.#attempts = 0;
        this.#say("open");
      }
      this.dispatchEvent(new CustomEvent("event", { detail: event }));
    };
    socket.onclose = () => {
      clearTimeout(given);
      if (socket === this.#socket) this.#retry();
    };
  }

  /** Send one client event. What cannot be sent now is not kept: a late word is worse than none. */
  send(event) {
    if (this.status !== "open" || this.#socket.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(event));
    return true;
  }

  close() {
    clearTimeout(this.#timer);
    this.attempt = null;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    this.#say("closed");
  }

  #retry() {
    this.#socket = null;
    const refused = this.status !== "open";
    const wait = Math.min(2 ** this.#attempts++, LONGEST_WAIT_S);
    this.#say("lost", { wait, refused });
    this.#timer = setTimeout(() => this.open(this.model), wait * 1000);
  }

  #say(status, more = {}) {
    this.status = status;
    this.dispatchEvent(new CustomEvent("status", { detail: { status, ...more } }));
  }
}
