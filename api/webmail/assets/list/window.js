// A list of rows of one height, of which only those in view (and some more) are in the document.
// Nodes belong to rows, not to places: the focus stays on its row when mail comes in above it.

const EXTRA = 8; // rows beyond the window on each side
const HEIGHT_MAX_PX = 16_000_000; // Firefox lays out no more than 17.9 million

export class ListWindow {
  #scroller; #canvas; #make; #list = null; #nodes = new Map(); #height = 76; #frame = 0; #reading = 0;
  onWindow = () => {};

  // `make(row, position)` returns the node of a row; a row of `undefined` was not read yet.
  constructor(scroller, make) {
    this.#scroller = scroller;
    this.#make = make;
    this.#canvas = document.createElement("div");
    this.#canvas.className = "canvas";
    this.#canvas.setAttribute("role", "rowgroup");
    scroller.append(this.#canvas);
    scroller.addEventListener("scroll", () => this.#soon(), { passive: true });
    this.sizes = new ResizeObserver(() => this.#soon());
    this.sizes.observe(scroller);
  }

  close() {
    this.sizes.disconnect();
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#reading);
    this.#canvas.remove();
  }

  show(list, scrollTop = 0) {
    this.#list = list;
    this.#nodes.forEach((node) => node.remove());
    this.#nodes.clear();
    this.#size();
    this.#scroller.scrollTop = scrollTop;
    this.draw();
  }

  set rowHeight(px) {
    if (px === this.#height) return;
    const top = this.#scroller.scrollTop / this.#height;
    this.#height = px;
    this.#size();
    this.#scroller.scrollTop = top * px;
    this.redraw();
  }

  get first() { return Math.max(0, Math.floor(this.#scroller.scrollTop / this.#height)); }
  get top() { return this.#scroller.scrollTop; }
  get count() { return Math.ceil(this.#scroller.clientHeight / this.#height) + 1; }
  get total() { return Math.min(this.#list?.total ?? 0, Math.floor(HEIGHT_MAX_PX / this.#height)); }

  // The row at the top of the window and how far it is scrolled out: to keep it in place over a change.
  anchor() {
    const at = this.first;
    return this.#scroller.scrollTop ? { id: this.#list?.rows[at]?.id, offset: this.#scroller.scrollTop - at * this.#height } : null;
  }

  keep(anchor) {
    const at = anchor ? this.#list.places.get(anchor.id) : undefined;
    this.#size();
    if (at !== undefined) this.#scroller.scrollTop = at * this.#height + anchor.offset;
    this.draw();
  }

  // Calls `restate(node, row)` for each row that is drawn: selection or focus have changed.
  restate(restate) { this.#nodes.forEach((node) => node.row && restate(node, node.row)); }

  // Makes all nodes again: their words or the time of day have changed.
  redraw() {
    this.#nodes.forEach((node) => { node.row = null; });
    this.draw();
  }

  #size() { this.#canvas.style.height = `${this.total * this.#height}px`; }

  #soon() {
    if (this.#frame) return;
    this.#frame = requestAnimationFrame(() => { this.#frame = 0; this.draw(); });
  }

  draw() {
    if (!this.#list) return;
    const from = Math.max(0, this.first - EXTRA), to = Math.min(this.total, this.first + this.count + EXTRA);
    const kept = new Set();
    for (let at = from; at < to; at += 1) kept.add(this.#place(at));
    for (const [key, node] of this.#nodes) {
      if (kept.has(key)) continue;
      if (node.contains(document.activeElement) && this.#list.places.has(key)) {
        this.#move(node, this.#list.places.get(key));
        continue;
      }
      node.remove();
      this.#nodes.delete(key);
    }
    this.onWindow(from, to);
    this.#read(from, to);
  }

  // Rows that are flown over are not read.
  #read(from, to) {
    clearTimeout(this.#reading);
    const list = this.#list, now = list.total === null;
    this.#reading = setTimeout(() => list.want(from, Math.max(from, to)), now ? 0 : 40);
  }

  #place(at) {
    const row = this.#list.rows[at], key = row?.id ?? `place ${at}`;
    let node = this.#nodes.get(key);
    if (!node || node.row !== row) {
      const fresh = this.#make(row, at);
      fresh.row = row;
      if (node) this.#swap(node, fresh);
      else this.#canvas.append(fresh);
      this.#nodes.set(key, node = fresh);
    }
    this.#move(node, at);
    return key;
  }

  #move(node, at) {
    if (node.at === at && node.height === this.#height) return;
    Object.assign(node, { at, height: this.#height });
    node.style.transform = `translateY(${at * this.#height}px)`;
    node.setAttribute("aria-rowindex", at + 1);
  }

  #swap(old, fresh) {
    const focused = old.contains(document.activeElement) ? document.activeElement.dataset.part ?? "row" : null;
    old.replaceWith(fresh);
    if (focused) (fresh.querySelector(`[data-part="${focused}"]`) ?? fresh).focus({ preventScroll: true });
  }

  focus(id) { this.#nodes.get(id)?.focus({ preventScroll: true }); }

  // Scrolls so that the row at `at` is seen whole, with half a row above and below.
  reveal(at) {
    const top = at * this.#height, view = this.#scroller.clientHeight, margin = this.#height / 2;
    if (top - margin < this.#scroller.scrollTop) this.#scroller.scrollTop = Math.max(0, top - margin);
    else if (top + this.#height + margin > this.#scroller.scrollTop + view) this.#scroller.scrollTop = top + this.#height + margin - view;
    this.draw();
  }
}
