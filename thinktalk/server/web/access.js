// What the page asks over plain HTTP, and the key that it asks with.

const KEY = "thinktalk.key";

/** The server wants a key, or another one. */
export class KeyNeeded extends Error {}

/** The key lives as long as the tab does: it is never written to disk. */
export const key = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => (value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY)),
};

/** JSON of an endpoint; relative, so that the page also works below a path behind a proxy. */
async function ask(path, body) {
  const headers = key.get() ? { Authorization: `Bearer ${key.get()}` } : {};
  const request = { headers, cache: "no-store" };
  if (body) {
    request.method = "POST";
    request.body = JSON.stringify(body);
    headers["Content-Type"] = "application/json";
  }
  const response = await fetch(new URL(path, document.baseURI), request);
  const answer = await response.json().catch(() => ({}));
  if (response.status === 401 || response.status === 403) throw new KeyNeeded(answer.error?.message ?? "");
  if (!response.ok) throw new Error(answer.error?.message ?? `The server answered ${response.status}.`);
  return answer;
}

/** [{id}] of the models served, the first being the one to talk to. */
export async function models() {
  return (await ask("v1/models")).data;
}

/** [{id, name}] of the voices. */
export async function voices() {
  return (await ask("v1/audio/voices")).voices;
}

/** Address and subprotocols of a new real-time session. A key is traded for a short-lived secret first. */
export async function door(model) {
  const url = new URL("v1/realtime", document.baseURI);
  url.protocol = url.protocol.replace("http", "ws");
  url.searchParams.set("model", model);
  const protocols = ["realtime"];
  if (key.get()) {
    const session = { type: "realtime", model };
    const secret = await ask("v1/realtime/client_secrets", { session });
    protocols.push(`openai-insecure-api-key.${secret.value}`);
  }
  return { url, protocols };
}
