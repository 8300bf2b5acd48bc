// The page: its parts are joined here, and what happens in them is shown.

import { KeyNeeded, key, models, voices } from "./access.js";
import { Conversation } from "./conversation.js";
import { Link } from "./link.js";
import { Microphone } from "./microphone.js";
import { Orb } from "./orb.js";
import { Camera, Tray } from "./pictures.js";
import { Player } from "./player.js";
import { Talk } from "./talk.js";
import { Transcript } from "./transcript.js";

const STATES = {
  idle: "Ready",
  listening: "Listening",
  hearing: "Hearing you",
  thinking: "Thinking",
  speaking: "Speaking",
};
const TROUBLE_MS = 9000;
const METER_MS = 80;
const MANY_GAPS = 3;

const $ = (id) => document.getElementById(id);
const link = new Link();
const conversation = new Conversation();
const player = new Player();
const microphone = new Microphone();
const tray = new Tray();
const camera = new Camera($("camera-view"));
const talk = new Talk({ link, conversation, player, microphone, tray, camera });
const transcript = new Transcript($("turns"), $("announcer"));
const orb = new Orb($("orb"), () => ({ user: voiceOfUser(), reply: player.analyser }));

/** While the button is up, nobody hears the user, so nothing should look as if. */
function voiceOfUser() {
  return talk.settings.handsFree || talk.state === "hearing" ? microphone.analyser : null;
}

// ----------------------------------------------------------------------------- beginning

async function begin() {
  try {
    const [served, spoken] = await Promise.all([models(), voices()]);
    fill($("model"), served);
    fill($("voice"), spoken);
    $("model-choice").hidden = served.length < 2;
    talk.settings.voice = $("voice").value || null;
    await link.open($("model").value);
  } catch (error) {
    if (error instanceof KeyNeeded) return unlock(error.message);
    showAway(`The server cannot be reached. ${error.message}`);
    setTimeout(begin, 3000);
  }
}

function fill(select, options) {
  const before = select.value;
  select.replaceChildren(...options.map(({ id, name = id }) => new Option(name, id)));
  select.disabled = options.length < 2;
  if (options.some(({ id }) => id === before)) select.value = before;
}

function unlock(reason) {
  if (key.get()) $("lock-reason").textContent = reason || "That key does not fit.";
  key.set(null);
  showAway("Waiting for the key");
  if (!$("lock").open) $("lock").showModal();
}

$("lock").addEventListener("cancel", (event) => event.preventDefault());
$("lock")
  .querySelector("form")
  .addEventListener("submit", () => {
    key.set($("key").value.trim());
    $("key").value = "";
    begin();
  });

link.addEventListener("status", ({ detail: { status, wait, refused, message } }) => {
  $("retry").hidden = status !== "lost";
  const what = refused
    ? "The server does not answer, or is full."
    : "Connection lost; what is written stays.";
  if (status === "lost") showAway(`${what} Trying again in ${wait} s.`);
  if (status === "connecting") showAway("Connecting");
  if (status === "locked") unlock(message);
  enable();
});
$("retry").addEventListener("click", () => link.open(link.model));

// ----------------------------------------------------------------------------- what is going on

talk.addEventListener("state", ({ detail: state }) => {
  document.body.dataset.state = orb.state = state;
  if (STATES[state]) $("state").textContent = STATES[state];
  if (state !== "away") tell(hint());
  enable();
});

talk.addEventListener("latency", ({ detail: { ms, kind } }) => {
  $("latency").textContent = `${(ms / 1000).toFixed(2)} s`;
  $("latency-name").textContent = `to the first ${kind}`;
});

talk.addEventListener("trouble", ({ detail }) => complain(detail));

let gaps = 0;
player.addEventListener("first", () => (gaps = 0));
player.addEventListener("dry", () => {
  if (++gaps === MANY_GAPS) tell("The reply comes slower than it is spoken");
});

function showAway(words) {
  document.body.dataset.state = orb.state = "away";
  $("state").textContent = words.startsWith("Connecting") ? "Connecting" : "Not connected";
  tell(words.startsWith("Connecting") ? "" : words);
}

function hint() {
  if (talk.state !== "idle") return "";
  return talk.settings.handsFree ? "" : "Hold the button, or the space bar, while you speak";
}

function tell(words) {
  $("detail").textContent = words;
}

let forgetting;
function complain(words) {
  $("trouble").querySelector("p").textContent = words;
  $("trouble").hidden = false;
  clearTimeout(forgetting);
  forgetting = setTimeout(() => ($("trouble").hidden = true), TROUBLE_MS);
}
$("trouble")
  .querySelector("button")
  .addEventListener("click", () => ($("trouble").hidden = true));

/** Run something that the person asked for; what stops it is told in words. */
async function attempt(action) {
  try {
    await action();
  } catch (error) {
    complain(error.message);
  }
  enable();
}

function enable() {
  const isOpen = link.status === "open";
  const { handsFree, aloud } = talk.settings;
  const isOn = microphone.open && handsFree;
  $("talk").disabled = !isOpen;
  $("talk").querySelector("span").textContent = !handsFree ? "Hold to talk" : isOn ? "Mute" : "Start talking";
  $("talk")
    .querySelector("use")
    .setAttribute("href", isOn ? "#icon-mic-off" : "#icon-mic");
  $("stop").disabled = !["speaking", "thinking"].includes(talk.state);
  $("send").disabled = !isOpen || !($("text").value.trim() || tray.waiting.length);
  $("aloud").setAttribute("aria-pressed", aloud);
  $("camera-toggle").setAttribute("aria-pressed", camera.open);
  $("camera-view").hidden = !camera.open;
}

// ----------------------------------------------------------------------------- the conversation

conversation.addEventListener("change", ({ detail: entry }) => {
  $("welcome").hidden = true;
  transcript.show(entry, conversation.entries);
});
conversation.addEventListener("remove", ({ detail: { id } }) => transcript.remove(id));
conversation.addEventListener("clear", () => {
  transcript.clear();
  $("welcome").hidden = false;
});
talk.addEventListener("light", ({ detail: { id, index } }) => transcript.light(id, index));
talk.addEventListener("settled", ({ detail: entry }) => transcript.settle(entry));

$("new-conversation").addEventListener("click", () => {
  player.stop();
  conversation.clear();
  $("latency").textContent = $("latency-name").textContent = "";
  link.open($("model").value);
  $("text").focus();
});

// ----------------------------------------------------------------------------- talking

$("talk").addEventListener("click", () => {
  if (talk.settings.handsFree) attempt(() => talk.listen(!microphone.open));
});
$("talk").addEventListener("pointerdown", (event) => {
  if (talk.settings.handsFree || event.button) return;
  event.target.setPointerCapture(event.pointerId);
  hold(true);
});
for (const end of ["pointerup", "pointercancel"]) $("talk").addEventListener(end, () => hold(false));

function hold(isDown) {
  if (talk.settings.handsFree) return;
  $("talk").classList.toggle("held", isDown);
  attempt(() => (isDown ? talk.press() : talk.release()));
}

/** The space bar talks unless it writes or works another control. */
const isTalkKey = (event) =>
  event.code === "Space" &&
  !talk.settings.handsFree &&
  link.status === "open" &&
  (event.target === $("talk") || !event.target.closest("button, input, textarea, select, dialog"));

document.addEventListener("keydown", (event) => {
  const closes = $("settings").matches(":popover-open"); // and Escape does no more than that
  if (event.key === "Escape" && !$("stop").disabled && !closes) attempt(() => talk.interrupt());
  if (!isTalkKey(event)) return;
  event.preventDefault();
  if (!event.repeat) hold(true);
});
document.addEventListener("keyup", (event) => {
  if (event.code !== "Space" || !$("talk").classList.contains("held")) return;
  event.preventDefault();
  hold(false);
});
window.addEventListener("blur", () => $("talk").classList.contains("held") && hold(false));

$("stop").addEventListener("click", () => attempt(() => talk.interrupt()));

for (const radio of document.querySelectorAll("[name=mode]")) {
  radio.addEventListener("change", () => {
    talk.choose(radio.value === "hands-free");
    tell(hint());
    enable();
  });
}
$("voice").addEventListener("change", () => {
  talk.settings.voice = $("voice").value;
  talk.configure();
});
$("speed").addEventListener("change", () => {
  talk.settings.speed = Number($("speed").value);
  talk.configure();
});
$("turn-end").addEventListener("change", () => {
  talk.settings.turns = $("turn-end").value;
  talk.configure();
});
$("model").addEventListener("change", () => $("new-conversation").click());
$("aloud").addEventListener("click", () => {
  talk.settings.aloud = !talk.settings.aloud;
  if (!talk.settings.aloud) attempt(() => talk.interrupt());
  talk.configure();
  enable();
});

// ----------------------------------------------------------------------------- writing and showing

const text = $("text");
text.addEventListener("input", () => {
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight}px`;
  enable();
});
text.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  if (!$("send").disabled) $("composer").requestSubmit();
});
$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const words = text.value.trim();
  text.value = "";
  text.dispatchEvent(new Event("input"));
  attempt(() => talk.type(words));
});
$("suggestions").addEventListener("click", ({ target }) => {
  if (target.closest("button") && link.status === "open") attempt(() => talk.type(target.textContent));
});

$("choose").addEventListener("click", () => $("files").click());
$("files").addEventListener("change", () => {
  tray.add($("files").files).then(() => ($("files").value = ""));
});
$("camera-toggle").addEventListener("click", () =>
  attempt(() => (camera.open ? camera.stop() : camera.start())),
);
tray.listen(document);
tray.addEventListener("refused", ({ detail }) => complain(detail));
tray.addEventListener("change", () => {
  $("tray").replaceChildren(...tray.waiting.map(thumbnail));
  enable();
});

function thumbnail(source, index) {
  const item = document.createElement("li");
  const image = Object.assign(document.createElement("img"), { src: source, alt: `Picture ${index + 1}` });
  const away = Object.assign(document.createElement("button"), { type: "button", className: "icon" });
  away.setAttribute("aria-label", `Take picture ${index + 1} away`);
  away.append($("trouble").querySelector("svg").cloneNode(true));
  away.addEventListener("click", () => tray.remove(index));
  item.append(image, away);
  return item;
}

// ----------------------------------------------------------------------------- meters

function meter(element, level) {
  const percent = Math.round(100 * Math.min(1, Math.sqrt(level) * 1.8));
  element.setAttribute("aria-valuenow", percent);
  element.firstElementChild.style.transform = `scaleX(${percent / 100})`;
}

setInterval(() => {
  meter($("your-meter"), voiceOfUser() ? microphone.level : 0);
  meter($("its-meter"), player.level);
}, METER_MS);

begin();
