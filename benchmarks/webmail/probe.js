// Runs in the page before its own scripts: when something was painted, after which input.
// A condition is asked in the frame after each change of the document, so that a page that waits has nothing to do; its
// time is that of the first task after the frame's paint.
globalThis.probe = (() => {
  const nextFrame = () => new Promise(requestAnimationFrame);
  const one = (selector) => document.querySelector(selector);
  const rowsNow = () => one(".rows .row") && !one(".rows .row.waiting");

  const conditions = {
    rows: rowsNow,
    live: () => one("#page:not([inert]) .rows .row") && rowsNow(), // not the copy of the last screen
    // The conversation of `row` with the whole text of its message.
    reading: (row, former) => {
      const article = one(".conversation article.open"), frame = article?.querySelector("iframe.mail");
      if (!article || article.dataset.id === former || !location.pathname.endsWith(row)) return false;
      if (!frame) return article.querySelector(".plain");
      // The height first: to ask for the document of an empty frame makes the browser prepare it for scripts.
      return frame.style.height && frame.contentDocument?.readyState === "complete" && frame.contentDocument.body?.childElementCount;
    },
    gone: (row) => !one(`.rows [data-id="${row}"]`),
    selected: (row, value) => one(`.rows [data-id="${row}"]`)?.ariaSelected === value,
    starred: (row, value) => one(`.rows [data-id="${row}"] .star`)?.ariaPressed === value,
    found: (word) => [...document.querySelectorAll(".rows mark")].some((mark) => mark.textContent.toLowerCase() === word),
    first: (row) => rowsNow() && one('.rows [aria-rowindex="1"]') && one('.rows [aria-rowindex="1"]').dataset.id !== row,
    framed: () => one("iframe.loaded"),
    at: (row) => rowsNow() && one(`.rows [aria-rowindex="${row}"]`),
  };

  const inputs = new EventTarget(); // "input" after each key or click
  function changed() {
    return new Promise((resolve) => {
      const observer = new MutationObserver(done), options = { subtree: true, childList: true, attributes: true, characterData: true };
      function done() { observer.disconnect(); inputs.removeEventListener("input", done); resolve(); }
      observer.observe(document, options);
      inputs.addEventListener("input", done);
    });
  }

  async function painted(isThere) {
    for (;;) {
      const change = changed();
      await nextFrame();
      if (isThere()) break;
      await change;
    }
    const { port1, port2 } = new MessageChannel();
    await new Promise((resolve) => { port1.onmessage = resolve; port2.postMessage(null); });
    return performance.now();
  }

  const probe = { at: null, result: null, interactions: [] };
  for (const type of ["keydown", "click"]) addEventListener(type, (event) => { probe.at ??= event.timeStamp; inputs.dispatchEvent(new Event("input")); }, true);
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (entry.interactionId) probe.interactions.push(entry.duration);
  }).observe({ type: "event", durationThreshold: 16 });

  probe.answers = [];
  new PerformanceObserver((list) => probe.answers.push(...list.getEntries().filter((entry) => entry.name.includes("position="))))
    .observe({ type: "resource" });

  // `result` becomes the milliseconds from the next key or click until the condition was painted.
  probe.afterInput = (name, ...values) => {
    probe.at = null;
    probe.result = painted(() => probe.at !== null && conditions[name](...values)).then((at) => at - probe.at);
  };
  // `result` becomes the time (performance.now) at which the condition was painted.
  probe.whenever = (name, ...values) => { probe.result = painted(() => conditions[name](...values)); };
  probe.firstList = painted(rowsNow);
  probe.live = painted(conditions.live);

  probe.rowsInView = () => {
    const view = one(".rows").getBoundingClientRect();
    const isInView = (row) => { const { top, bottom } = row.getBoundingClientRect(); return top >= view.top && bottom <= view.bottom; };
    return [...document.querySelectorAll(".rows .row:not(.waiting)")].filter(isInView)
      .sort((row, other) => row.ariaRowIndex - other.ariaRowIndex).map((row) => row.dataset.id);
  };

  // Scrolls by `px` in each of `count` frames: their lengths, and how long rows were missing then.
  probe.fling = async (count, px) => {
    const rows = one(".rows"), frames = [];
    let last = await nextFrame();
    for (let n = 0; n < count; n += 1) {
      rows.scrollTop += px;
      const now = await nextFrame();
      frames.push(now - last);
      last = now;
    }
    const stopped = performance.now();
    return { frames, missing: (await painted(rowsNow)) - stopped };
  };

  // Scrolls until the row at `position`, from 0, is in view; `result` is the time of its paint.
  probe.reveal = (position) => {
    const rows = one(".rows"), height = one(".rows .row").offsetHeight, top = position * height;
    if (top < rows.scrollTop || top + height > rows.scrollTop + rows.clientHeight) rows.scrollTop = top - rows.clientHeight / 2;
    probe.whenever("at", position + 1);
  };

  // Jumps to a share of the list: until its rows were painted, and how long their answer took.
  probe.jump = async (share) => {
    const rows = one(".rows"), height = one(".rows .row").offsetHeight, row = Math.floor((rows.scrollHeight / height) * share);
    probe.answers.length = 0;
    const began = performance.now();
    rows.scrollTop = row * height;
    const shown = (await painted(() => conditions.at(row + 1))) - began;
    await new Promise((resolve) => setTimeout(resolve, 100)); // entries come after the answers
    return { shown, answer: Math.max(...probe.answers.map((entry) => entry.responseEnd - entry.requestStart)) };
  };
  return probe;
})();
