// Files on their way to the server: two at a time, with progress, to be canceled or tried again.

import { t } from "../words.js";

const AT_ONCE = 2;
const waiting = [];
let running = 0;

// Uploads `file`; calls report({ state, progress, upload_id, error }) as it goes on. Returns a cancel function.
export function upload(file, report) {
  const job = { file, report, request: null, isCanceled: false };
  waiting.push(job);
  next();
  return () => {
    job.isCanceled = true;
    job.request?.abort();
  };
}

function next() {
  while (running < AT_ONCE && waiting.length) {
    const job = waiting.shift();
    if (job.isCanceled) continue;
    running += 1;
    start(job);
  }
}

// By XMLHttpRequest, since fetch says nothing of the progress of a request's body.
function start(job) {
  const { file, report } = job, request = job.request = new XMLHttpRequest();
  request.open("POST", "/v1/uploads");
  request.responseType = "json";
  request.setRequestHeader("Content-Type", /^[\w.+-]+\/[\w.+-]+$/.test(file.type) ? file.type : "application/octet-stream");
  request.setRequestHeader("Content-Disposition", `attachment; filename*=UTF-8''${encodeURIComponent(file.name || "file").replace(/['()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`)}`);
  request.upload.onprogress = (event) => report({ state: "sending", progress: event.loaded / Math.max(1, event.total) });
  request.onloadend = () => {
    running -= 1;
    next();
    if (job.isCanceled) return;
    if (request.status === 201) report({ state: "done", progress: 1, upload_id: request.response.id, filename: request.response.filename, content_type: request.response.content_type });
    else report({ state: "failed", error: request.response?.detail ?? t("upload.failed") });
  };
  request.send(file);
}
