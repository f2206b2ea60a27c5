// What both widgets are made of. All text goes through textContent: a host's name, chip, user or
// error is never HTML. Nodes stay while their text changes, so that focus and selection do.

const SVG = "http://www.w3.org/2000/svg";
// Seconds from one point of a line to the next.
const STEP = 5;
// Milliseconds: between two words to the kernel, without one of its own, and for an answer.
const HERE_EVERY = 10000;
const SILENT = 25000;
const SOON = 700;

function make(tag, name, text) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined) node.textContent = text;
  return node;
}

function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function mark(node, name, value) {
  if (value === null || value === "") node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

function show(node, isShown) {
  node.hidden = !isShown;
}

// Keep one node for each item, in the items' order; `build` makes one, `fill` writes into it.
function keep(parent, items, keyOf, build, fill) {
  const before = parent.macgpuKept ?? new Map();
  const now = new Map();
  let place = parent.firstChild;
  for (const item of items) {
    let key = keyOf(item);
    while (now.has(key)) key += " again"; // a host may say the same twice
    const node = before.get(key) ?? build(item);
    before.delete(key);
    now.set(key, node);
    fill(node, item);
    if (node === place) place = place.nextSibling;
    else parent.insertBefore(node, place);
  }
  for (const node of before.values()) node.remove();
  parent.macgpuKept = now;
}

// How something went, from 0 to 1 or to the largest number: a line with room for so many points.
// Gaps stay gaps.
function sparkline(room) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("class", "macgpu-line");
  svg.setAttribute("viewBox", `0 0 ${room} 16`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("vector-effect", "non-scaling-stroke");
  const title = document.createElementNS(SVG, "title");
  title.textContent = `the last ${(room * STEP) / 60} minutes`;
  svg.append(title, path);
  return {
    node: svg,
    update(points) {
      const most = Math.max(1, ...points);
      let drawn = "";
      let before = null;
      points.forEach((point, number) => {
        if (point !== null) {
          const x = room - points.length + number + 0.5;
          const y = 15 - (14 * point) / most;
          drawn += `${before === null ? "M" : "L"}${x} ${y.toFixed(2)}`;
          // A point alone is a line of no length, which round ends make visible.
          if (before === null) drawn += `L${x} ${y.toFixed(2)}`;
        }
        before = point;
      });
      mark(path, "d", drawn);
    },
  };
}

// A share as a bar: of one part, or of several behind each other, with a limit as a tick.
function bar() {
  const node = make("div", "macgpu-bar");
  node.setAttribute("role", "img");
  return {
    node,
    update(gauge) {
      mark(node, "aria-label", `${gauge.name}: ${spoken(gauge)}`);
      const parts = gauge.parts.filter((part) => part.name !== "free" && part.share !== null);
      const shown = parts.length ? parts : [{ name: "used", share: gauge.share ?? 0 }];
      keep(node, shown, (part) => part.name, (part) => make("span", `macgpu-${kind(part.name)}`),
        (span, part) => {
          const percent = `${(100 * part.share).toFixed(1)}%`;
          span.style.setProperty(part.name === "GPU limit" ? "left" : "width", percent);
        });
    },
  };
}

function kind(name) {
  return name.toLowerCase().replace(/[^a-z]/g, "-");
}

function spoken(gauge) {
  const parts = gauge.parts.map((part) => `${part.name} ${part.text}`);
  return [gauge.text, ...parts].join(", ");
}

// The state of a host as a word with a dot; the dot's form tells good from bad without colour.
function stateMark() {
  const node = make("span", "macgpu-state");
  const dot = make("span", "macgpu-dot");
  const word = make("span");
  dot.setAttribute("aria-hidden", "true");
  node.append(dot, word);
  return {
    node,
    update(host) {
      say(word, host.state);
      mark(node, "data-state", kind(host.state));
      mark(node, "title", host.reason);
    },
  };
}

function nameMark() {
  const node = make("span", "macgpu-name");
  const name = make("strong");
  const simulated = make("span", "macgpu-tag", "simulated");
  node.append(name, simulated);
  return {
    node,
    simulated,
    update(host) {
      say(name, host.host);
      mark(name, "title", host.host);
      show(simulated, host.simulated);
    },
  };
}

function button(text, act) {
  const node = make("button", "macgpu-button", text);
  node.type = "button";
  node.addEventListener("click", act);
  return node;
}

// The line under a widget: what was done, what is waited for, whether the kernel is still there.
function conversation(model, root) {
  const view = Math.random().toString(36).slice(2);
  const line = make("p", "macgpu-said");
  const waiting = new Map();
  let number = 0;
  let heard = Date.now();
  let isStale = false;
  line.setAttribute("role", "status");

  const tell = (text, isBad) => {
    say(line, text);
    mark(line, "data-bad", isBad ? "true" : "");
  };
  const here = () => {
    const isSeen = document.visibilityState !== "hidden";
    model.send({ kind: isSeen ? "here" : "gone", view });
    if (!isSeen) heard = Date.now();
  };
  const checked = () => {
    const silence = Date.now() - heard;
    if (silence > SILENT && !isStale) {
      isStale = true;
      tell("No answer from the kernel: it is in a cell, or has ended. What is shown may be old.");
    } else if (silence <= SILENT && isStale) {
      isStale = false;
      tell("");
    }
    root.toggleAttribute("data-stale", isStale);
  };
  const news = () => {
    heard = Date.now();
    checked();
  };
  const answered = (message) => {
    news();
    const asked = waiting.get(message.number);
    if (asked === undefined) return;
    clearTimeout(asked.timer);
    if (message.kind === "begun") {
      tell(asked.meanwhile);
    } else if (message.kind === "done") {
      waiting.delete(message.number);
      tell(message.text, message.failed);
    }
  };
  const ask = (what, host, meanwhile) => {
    number += 1;
    const timer = setTimeout(
      () => tell("This waits for the kernel, which is in a cell."), SOON);
    waiting.set(number, { timer, meanwhile: meanwhile ?? "" });
    model.send({ kind: "do", what, host, number, view });
  };

  const timers = [setInterval(here, HERE_EVERY), setInterval(checked, 1000)];
  model.on("msg:custom", answered);
  model.on("change:snapshot", news);
  document.addEventListener("visibilitychange", here);
  here();
  return {
    line,
    ask,
    end() {
      timers.forEach(clearInterval);
      waiting.forEach((asked) => clearTimeout(asked.timer));
      document.removeEventListener("visibilitychange", here);
      model.off("msg:custom", answered);
      model.off("change:snapshot", news);
      model.send({ kind: "gone", view });
    },
  };
}

// Put a widget into its place and keep it up to date; what is returned takes it away again.
function mount(el, root, model, talk, update) {
  el.append(root);
  model.on("change:snapshot", update);
  model.on("change:history", update);
  update();
  return () => {
    model.off("change:snapshot", update);
    model.off("change:history", update);
    talk.end();
  };
}
