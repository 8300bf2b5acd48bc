// The written side of the conversation: who said what, each word of a reply lighting up as it is spoken.

const NAMES = { user: "You", assistant: "thinktalk" };

export class Transcript {
  #list;
  #announcer;
  #rows = new Map(); // id -> {row, body, words: [span]}

  /**
   * list: where the turns are written. announcer: a live region for screen readers; what is spoken aloud is not
   * read out once more over the voice, so it gets whole turns of the user and replies that are only written.
   */
  constructor(list, announcer) {
    this.#list = list;
    this.#announcer = announcer;
  }

  /** Write an entry of the conversation, as it now is, at its place. */
  show(entry, order) {
    const known = this.#rows.get(entry.id) ?? this.#add(entry, order);
    const { row, body } = known;
    row.dataset.role = entry.role;
    row.dataset.status = entry.status;
    row.querySelector(".who").textContent = NAMES[entry.role];
    this.#showImages(row, entry);
    if (entry.text) this.#write(known, entry);
    else body.replaceChildren(placeholder(entry));
    if (entry.status === "done" && entry.role === "user" && entry.text)
      this.#announce(row, `You: ${entry.text}`);
    this.#keepInView();
  }

  /** Light the word at `index`; those before it have been said, those behind it not yet. */
  light(id, index) {
    const words = this.#rows.get(id)?.words ?? [];
    words.forEach((word, i) => {
      word.className = i < index ? "said" : i === index ? "now" : "ahead";
    });
  }

  /** All of a reply has been said, or was only ever written. */
  settle(entry) {
    const known = this.#rows.get(entry.id);
    if (!known) return;
    for (const word of known.words) word.className = "said";
    if (!entry.spoken) this.#announce(known.row, `thinktalk: ${entry.text}`);
  }

  remove(id) {
    this.#rows.get(id)?.row.remove();
    this.#rows.delete(id);
    this.#label();
  }

  clear() {
    this.#rows.clear();
    this.#list.replaceChildren();
    this.#announcer.textContent = "";
  }

  #add(entry, order) {
    const row = document.createElement("li");
    row.className = "turn";
    row.append(element("h3", "who"), element("div", "images"), element("p", "words"));
    const known = { row, body: row.querySelector(".words"), words: [] };
    this.#rows.set(entry.id, known);
    const next = order.slice(order.indexOf(entry) + 1).find(({ id }) => this.#rows.has(id));
    this.#list.insertBefore(row, next ? this.#rows.get(next.id).row : null);
    row.dataset.role = entry.role;
    this.#label();
    return known;
  }

  /** Words that are there already stay, so that what is lit stays lit while more is written. */
  #write(known, entry) {
    const { body } = known;
    const words = split(entry.text);
    if (!known.words[0]?.isConnected) {
      known.words = [];
      body.replaceChildren();
    }
    while (known.words.length > words.length) {
      const gone = known.words.pop();
      gone.nextSibling.remove();
      gone.remove();
    }
    words.forEach((word, i) => {
      if (!known.words[i]) {
        known.words[i] = element("span", entry.role === "assistant" && entry.spoken ? "ahead" : "said");
        body.append(known.words[i], "");
      }
      const [shown, bare] = [known.words[i], word.trimEnd()];
      if (shown.textContent !== bare) shown.textContent = bare;
      shown.nextSibling.data = word.slice(bare.length);
    });
  }

  #showImages(row, entry) {
    const holder = row.querySelector(".images");
    if (holder.childElementCount === entry.images.length) return;
    holder.replaceChildren(
      ...entry.images.map((source, i) => {
        const image = element("img");
        image.src = source;
        image.alt = `Picture ${i + 1} that you showed`;
        return image;
      }),
    );
  }

  /** One name above turns of the same speaker that follow each other. */
  #label() {
    let before = null;
    for (const row of this.#list.children) {
      row.classList.toggle("goes-on", row.dataset.role === before);
      before = row.dataset.role;
    }
  }

  #announce(row, text) {
    if (row.dataset.announced === text) return;
    row.dataset.announced = text;
    this.#announcer.textContent = text;
  }

  /** Follow the conversation, unless the reader has scrolled up in it. */
  #keepInView() {
    const pane = this.#list.parentElement;
    const below = pane.scrollHeight - pane.scrollTop - pane.clientHeight;
    if (below < 160) pane.scrollTop = pane.scrollHeight;
  }
}

/** Words with the space behind them. */
export function split(text) {
  return text.match(/\s*\S+\s*/g) ?? [];
}

function element(name, className = "") {
  const made = document.createElement(name);
  made.className = className;
  return made;
}

/** What stands where there is no text yet, or never will be. */
function placeholder(entry) {
  if (entry.status === "open") {
    const dots = element("span", "dots");
    dots.setAttribute("aria-label", entry.role === "user" ? "You are speaking" : "The reply begins");
    dots.setAttribute("role", "img");
    dots.append(element("i"), element("i"), element("i"));
    return dots;
  }
  const note = element("span", "note");
  if (entry.status === "cut") note.textContent = "Interrupted before a word was heard";
  else if (entry.status === "failed") note.textContent = "Heard, but not written down";
  else note.textContent = entry.spoken ? "No words in it" : "";
  return note;
}
