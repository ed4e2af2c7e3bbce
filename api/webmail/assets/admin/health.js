// What runs, what waits for which engine, and the lag of two hours as a line for each process.

import { html, useEffect, useState } from "../vendor/preact.js";
import { number, shortDate, t } from "../words.js";
import { watch } from "../store/account.js";
import { Rows, Trouble, useAnswer } from "./parts.js";

const AGAIN_MS = 30_000; // a process takes a sample as often; changes of the state come by the socket
const WIDTH = 240, HEIGHT = 28;

export function Health() {
  const status = useAnswer("/v1/admin/status", AGAIN_MS), history = useAnswer("/v1/admin/history", AGAIN_MS);
  const [pushed, setPushed] = useState(null), report = pushed ?? status.answer, series = new Map(history.answer?.series.map((one) => [one.name, one.values]));
  useEffect(() => watch("admin.status", ({ status: now }) => { setPushed(now); if (!now) status.read(); }), []);
  if (!report) return html`<${Trouble} failure=${status.failure} />`;
  const roles = new Map(report.roles.map((role) => [role.name, role]));
  const processes = report.processes.map((one) => ({ id: one.name, ...one, role: roles.get(one.name) }));
  const held = report.roles.flatMap((role) => role.held.map((event, at) => ({ id: `${role.name}-${at}`, role: role.name, ...event })));
  return html`<${Trouble} failure=${status.failure || history.failure} />
    <p class="state" data-state=${report.state}><strong>${t(`admin.state.${STATES.includes(report.state) ? report.state : "other"}`)}</strong>
      <span class="hint">${t("admin.signatures", { text: report.signatures })}</span></p>
    ${report.warnings.length > 0 && html`<ul class="warnings">${report.warnings.map((text) => html`<li key=${text}>${text}</li>`)}</ul>`}
    ${held.length > 0 && html`<h2>${t("admin.held")}</h2><${Rows} caption=${t("admin.held")} rows=${held} columns=${[
      ["admin.process", (row) => row.role], ["admin.engine", (row) => row.engine], ["admin.since", (row) => shortDate(new Date(row.since_ms))],
      ["admin.event", (row) => html`<code>${row.topic}@${row.partition}-${row.offset}</code>`], ["admin.why", (row) => row.detail, "long"]]} />`}
    <h2>${t("admin.processes")}</h2>
    <${Rows} caption=${t("admin.processes")} rows=${processes} columns=${[
      ["admin.process", (row) => row.name], ["admin.runs", (row) => row.state], ["admin.restarts", (row) => number(row.restarts), "number"],
      ["admin.lag", (row) => (row.role?.lag ?? null) === null ? "?" : number(row.role.lag), "number"], ["admin.lag.hours", (row) => html`<${LagLine} values=${series.get(row.name) ?? []} />`]]} />
    <h2>${t("admin.engines")}</h2>
    <${Rows} caption=${t("admin.engines")} rows=${report.engines.map((one) => ({ id: one.name, ...one }))} columns=${[
      ["admin.engine", (row) => row.name], ["admin.runs", (row) => row.state], ["admin.restarts", (row) => number(row.restarts), "number"], ["admin.detail", (row) => row.detail, "long"]]} />`;
}

const STATES = ["starting", "ready", "degraded", "stopping"];

// The lag as a line; where there is no sample the line has a gap.
function LagLine({ values }) {
  const most = Math.max(1, ...values.filter((value) => value !== null)), step = WIDTH / Math.max(1, values.length - 1);
  const runs = [[]];
  values.forEach((value, at) => {
    if (value === null) runs.push([]);
    else runs.at(-1).push(`${(at * step).toFixed(1)},${(HEIGHT - 2 - (value / most) * (HEIGHT - 4)).toFixed(1)}`);
  });
  const known = values.filter((value) => value !== null);
  return html`<svg class="lag" viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label=${known.length ? t("admin.lag.most", { n: Math.max(...known) }) : t("admin.lag.unknown")}>
    ${runs.filter((run) => run.length).map((run) => html`<polyline points=${(run.length > 1 ? run : [run[0], run[0]]).join(" ")} />`)}</svg>`;
}
