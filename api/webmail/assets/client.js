// The service as the page needs it: requests, and the socket with its way back.

const TIMEOUT_MS = 20_000;
const PING_MS = 25_000;
const PONG_MS = 10_000;
const BACKOFF_MAX_MS = 30_000;
const SIGNED_OUT = 4401;

export class Failure extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

export async function ask(method, path, body) {
  const request = { method, credentials: "same-origin", cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) };
  if (body !== undefined) {
    request.headers = { "Content-Type": "application/json" };
    request.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, request);
  } catch {
    throw new Failure(0, "The service does not answer.");
  }
  const answer = await response.json().catch(() => null);
  if (!response.ok) throw new Failure(response.status, answer?.detail ?? "The service could not do this.");
  return answer;
}

// Calls heard(frame) for each change, and says(state, seconds): "live" | "connecting" | "off" | "signed-out".
export class Line {
  #heard; #says; #socket = null; #tries = 0; #wake = null; #ping = null; #deadline = null; #stopped = false;

  constructor(heard, says) {
    this.#heard = heard;
    this.#says = says;
  }

  open() {
    this.#clear();
    if (this.#stopped) return;
    this.#says("connecting", 0);
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = this.#socket = new WebSocket(`${scheme}://${location.host}/v1/push`);
    socket.onopen = () => this.#opened(socket);
    socket.onmessage = (event) => this.#message(JSON.parse(event.data));
    socket.onclose = (event) => { if (socket === this.#socket) this.#closed(event.code); };
    this.#expect(socket);
  }

  stop() {
    this.#stopped = true;
    this.#clear();
    this.#socket?.close();
    this.#socket = null;
  }

  #opened(socket) {
    this.#clear();
    this.#tries = 0;
    this.#says("live", 0);
    this.#ping = setInterval(() => { socket.send('{"type":"ping"}'); this.#expect(socket); }, PING_MS);
  }

  // A line that was cut without a word shows itself by silence alone.
  #expect(socket) {
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => {
      if (socket !== this.#socket) return;
      socket.close();
      this.#closed(0);
    }, PONG_MS);
  }

  #message(frame) {
    clearTimeout(this.#deadline);
    if (frame.type === "change") this.#heard(frame);
  }

  #closed(code) {
    this.#clear();
    this.#socket = null;
    if (this.#stopped) return;
    if (code === SIGNED_OUT) return this.#says("signed-out", 0);
    const wait = Math.min(BACKOFF_MAX_MS, 1000 * 2 ** this.#tries) * (0.75 + Math.random() / 2);
    this.#tries += 1;
    this.#says("off", Math.ceil(wait / 1000));
    this.#wake = setTimeout(() => this.open(), wait);
  }

  #clear() {
    clearTimeout(this.#wake);
    clearTimeout(this.#deadline);
    clearInterval(this.#ping);
  }
}
