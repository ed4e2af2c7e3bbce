// The service as the page needs it: requests, and the socket with its way back.

const TIMEOUT_MS = 20_000;
const TIMEOUT_AWAY_MS = 5_000; // while the socket is off
const PING_MS = 25_000;
const PONG_MS = 10_000;
const BACKOFF_MAX_MS = 30_000;
const SIGNED_OUT = 4401;
const FEED_GONE = 4410;

export class Failure extends Error {
  constructor(status, detail, body = null) {
    super(detail);
    this.status = status;
    this.code = body?.code ?? "";
    this.place = body?.place ?? "";
  }

  // No answer of the service itself: what was asked may have been done or not.
  get isAway() { return [0, 502, 504].includes(this.status); }
}

let isAway = false;
let unauthorized = () => {};
// Calls `then` after each 401 of a request that is not the sign-in itself.
export function onUnauthorized(then) { unauthorized = then; }

// Returns the JSON of the answer (null without a body). Raises Failure; status 0: no answer.
export async function ask(method, path, body, headers = {}) {
  return (await request(method, path, body, headers)).body;
}

// As ask(), with status and headers.
export async function request(method, path, body, headers = {}) {
  const options = { method, headers: { ...headers }, credentials: "same-origin", cache: "no-store", signal: AbortSignal.timeout(isAway ? TIMEOUT_AWAY_MS : TIMEOUT_MS) };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Failure(0, "The service does not answer.");
  }
  const answer = await response.json().catch(() => null);
  if (response.ok) return { status: response.status, headers: response.headers, body: answer };
  if (response.status === 401 && path !== "/v1/login") unauthorized();
  throw new Failure(response.status, answer?.detail ?? "The service could not do this.", answer);
}

// One WebSocket that comes back. Calls heard(frame) for each change since `since`, and
// says(state, seconds): "live" | "connecting" | "off" | "signed-out" | "gone" (read everything again).
export class Line {
  #heard; #says; #since; #socket = null; #tries = 0; #wake = null; #ping = null; #deadline = null; #stopped = false;

  constructor(since, heard, says) {
    this.#since = since;
    this.#heard = heard;
    this.#says = says;
  }

  get since() { return this.#since; }

  open() {
    this.#clear();
    if (this.#stopped) return;
    this.#says("connecting", 0);
    this.#socket?.close();
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = this.#socket = new WebSocket(`${scheme}://${location.host}/v1/push?threads=true&since=${encodeURIComponent(this.#since)}`);
    socket.onopen = () => this.#opened(socket);
    socket.onmessage = (event) => { if (socket === this.#socket) this.#message(JSON.parse(event.data)); };
    socket.onclose = (event) => { if (socket === this.#socket) this.#closed(event.code); };
    this.#expect(socket);
  }

  send(frame) { if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame)); }

  stop() {
    this.#stopped = true;
    this.#clear();
    this.#socket?.close();
    this.#socket = null;
  }

  #opened(socket) {
    this.#ping = setInterval(() => { socket.send('{"type":"ping"}'); this.#expect(socket); }, PING_MS);
  }

  // A connection that was cut without a close frame shows itself by silence only.
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
    if (frame.state) this.#since = frame.state;
    if (frame.type === "live") {
      isAway = false;
      this.#tries = 0;
      this.#says("live", 0);
    } else if (frame.type !== "pong") {
      this.#heard(frame);
    }
  }

  #closed(code) {
    this.#clear();
    this.#socket = null;
    if (this.#stopped) return;
    if (code === SIGNED_OUT) return this.#says("signed-out", 0);
    if (code === FEED_GONE) return this.#says("gone", 0);
    const wait = Math.min(BACKOFF_MAX_MS, 1000 * 2 ** this.#tries) * (0.75 + Math.random() / 2);
    this.#tries += 1;
    isAway = true;
    this.#says("off", Math.ceil(wait / 1000));
    this.#wake = setTimeout(() => this.open(), wait);
  }

  #clear() {
    clearTimeout(this.#wake);
    clearTimeout(this.#deadline);
    clearInterval(this.#ping);
  }
}
