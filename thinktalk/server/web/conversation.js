// The conversation as the server tells it: entries in order, put together from its events. Nothing here draws.

/**
 * @typedef {object} Entry
 * @property {string} id
 * @property {"user" | "assistant"} role
 * @property {string} text
 * @property {string[]} images  data URLs
 * @property {boolean} spoken  it is, or has been, a voice
 * @property {"open" | "done" | "cut" | "failed"} status  cut: interrupted, only part of it was heard
 * @property {number} [heard]  of one that was cut: how many of its words
 */

/** Emits "change" with the entry in `detail`, "remove" likewise, and "clear". */
export class Conversation extends EventTarget {
  #entries = new Map();
  #order = [];

  /** Entries in the order in which they were said. */
  get entries() {
    return this.#order.map((id) => this.#entries.get(id));
  }

  get(id) {
    return this.#entries.get(id);
  }

  clear() {
    this.#entries.clear();
    this.#order = [];
    this.dispatchEvent(new Event("clear"));
  }

  /** Add what is known of an entry; a new one stands behind `previous`, or last. */
  put(id, known, previous) {
    let entry = this.#entries.get(id);
    if (!entry) {
      entry = { id, role: "user", text: "", images: [], spoken: false, status: "open" };
      this.#entries.set(id, entry);
      const at = previous ? this.#order.indexOf(previous) : -1;
      this.#order.splice(at < 0 ? this.#order.length : at + 1, 0, id);
    }
    Object.assign(entry, known);
    this.#emit("change", entry);
    return entry;
  }

  remove(id) {
    const entry = this.#entries.get(id);
    if (!entry) return;
    this.#entries.delete(id);
    this.#order.splice(this.#order.indexOf(id), 1);
    this.#emit("remove", entry);
  }

  /** Take in one event of the server. Those that say nothing of the conversation pass. */
  apply(event) {
    const { item_id: id, previous_item_id: previous } = event;
    switch (event.type) {
      case "input_audio_buffer.speech_started":
        return this.put(id, { role: "user", spoken: true });
      case "input_audio_buffer.committed":
        return this.put(id, { role: "user", spoken: true }, previous);
      case "conversation.item.added":
      case "conversation.item.done":
        return this.#item(event.item, previous);
      case "conversation.item.input_audio_transcription.delta":
        return this.#grow(id, event.delta ?? "", { spoken: true });
      case "conversation.item.input_audio_transcription.completed":
        return this.put(id, { text: event.transcript.trim(), status: "done" });
      case "conversation.item.input_audio_transcription.failed":
        return this.put(id, { status: "failed" });
      case "response.output_audio_transcript.delta":
        return this.#grow(id, event.delta, { role: "assistant", spoken: true });
      case "response.output_text.delta":
        return this.#grow(id, event.delta, { role: "assistant" });
      case "response.output_audio_transcript.done":
        return this.put(id, { role: "assistant", spoken: true, text: event.transcript });
      case "response.output_text.done":
        return this.put(id, { role: "assistant", text: event.text });
      case "response.output_item.added":
        return this.#item(event.item);
      case "response.output_item.done":
        return this.#item(event.item);
      case "conversation.item.truncated":
        return this.put(id, { status: "cut" });
      case "conversation.item.deleted":
        return this.remove(id);
    }
  }

  #grow(id, more, known) {
    this.put(id, { ...known, text: (this.get(id)?.text ?? "") + more });
  }

  /** An item as a whole; text that streams in is longer than what its item says at first. */
  #item(item, previous) {
    if (item?.type !== "message" || item.role === "system") return;
    const parts = item.content ?? [];
    const known = { role: item.role };
    const text = parts.map((part) => part.text ?? part.transcript ?? "").join("");
    const images = parts.filter((part) => part.type === "input_image").map((part) => part.image_url);
    const present = this.get(item.id);
    if (text.length > (present?.text.length ?? 0)) known.text = text;
    if (images.length) known.images = images;
    if (parts.some((part) => /audio$/.test(part.type))) known.spoken = true;
    const isOver = item.status === "completed" && (item.role === "assistant" || !known.spoken);
    if (isOver && present?.status !== "cut") known.status = "done";
    if (item.status === "incomplete") known.status = "cut";
    this.put(item.id, known, previous);
  }

  #emit(type, entry) {
    this.dispatchEvent(new CustomEvent(type, { detail: entry }));
  }
}
