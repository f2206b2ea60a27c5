// One host, in full.

const EMPTY = {};

function gaugeRow() {
  const node = make("div", "macgpu-gauge");
  const name = make("span", "macgpu-label");
  const line = sparkline(60);
  const text = make("span", "macgpu-text");
  const level = bar();
  const legend = make("ul", "macgpu-legend");
  node.append(name, line.node, text, level.node, legend);
  legend.setAttribute("aria-hidden", "true"); // the bar's own label says the same
  node.macgpuFill = (gauge, lines) => {
    say(name, gauge.name);
    say(text, gauge.text);
    line.update(lines[gauge.line] ?? []);
    level.update(gauge);
    show(level.node, gauge.share !== null);
    show(legend, gauge.parts.length > 0);
    keep(legend, gauge.parts, (part) => part.name, legendItem, fillLegend);
  };
  return node;
}

function legendItem(part) {
  const item = make("li");
  const swatch = make("span", `macgpu-swatch macgpu-${kind(part.name)}`);
  const label = make("span", "macgpu-label", part.name);
  label.prepend(swatch);
  item.append(label, make("span", "macgpu-text"));
  return item;
}

function fillLegend(item, part) {
  say(item.lastChild, part.text);
}

function factRow() {
  const node = make("div", "macgpu-fact");
  node.append(make("dt", "macgpu-label"), make("dd", "macgpu-text"));
  return node;
}

function fillFact(node, [name, text]) {
  say(node.firstChild, name);
  say(node.lastChild, text);
}

// A small table whose rows are lists of texts.
function listing(title, name, columns) {
  const node = make("table", `macgpu-list ${name}`);
  const head = node.createTHead().insertRow();
  for (const column of columns) {
    const cell = make("th", "", column);
    cell.scope = "col";
    head.append(cell);
  }
  const body = node.createTBody();
  node.setAttribute("aria-label", title);
  const build = () => {
    const row = make("tr");
    columns.forEach(() => row.insertCell());
    return row;
  };
  const fill = (row, item) => item.texts.forEach((text, place) => {
    say(row.cells[place], text);
    mark(row.cells[place], "title", text);
  });
  return {
    node,
    update(items) {
      show(node, items.length > 0);
      keep(body, items, (item) => item.key, build, fill);
    },
  };
}

// What may be done with a host; what concerns everybody is asked about first.
function actions(talk) {
  const node = make("div", "macgpu-actions");
  const heard = make("span", "macgpu-label");
  const use = button("Use", () => talk.ask("use", host.chosen ? "" : host.host));
  const drain = button("Drain", () => turn(true));
  const question = make("span", "macgpu-question");
  const yes = button("Drain", () => {
    const what = host.drained ? "undrain" : "drain";
    talk.ask(what, host.host, `Asking ${host.host}.`);
    turn(false);
  });
  const no = button("Leave it", () => turn(false));
  let host = { host: "" };
  let isAsking = false;

  const turn = (asks) => {
    isAsking = asks;
    fill();
    (asks ? no : drain).focus();
  };
  const fill = () => {
    say(heard, host.heard ?? "");
    say(use, host.chosen ? "In use here" : "Use here");
    mark(use, "aria-pressed", host.chosen ? "true" : "false");
    mark(use, "aria-label", `Run this notebook's cells on ${host.host}`);
    say(drain, host.drained ? "Undrain" : "Drain");
    mark(drain, "aria-label", `${drain.textContent} ${host.host}`);
    say(yes, drain.textContent);
    say(question, host.drained ? "Let it take cells again?" : "Take nothing new, for everybody?");
    mark(node, "role", isAsking ? "group" : "");
    mark(node, "aria-label", isAsking ? question.textContent : "");
    for (const part of [heard, use, drain]) show(part, !isAsking);
    for (const part of [question, yes, no]) show(part, isAsking);
  };
  node.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && isAsking) {
      event.stopPropagation();
      turn(false);
    }
  });
  node.append(heard, use, drain, question, yes, no);
  return {
    node,
    update(now) {
      if (now.host !== host.host) isAsking = false;
      host = now;
      fill();
    },
  };
}

// A host in full. `isAlone`: it is the whole widget, and says whose it is.
function devicePanel(talk, isAlone) {
  const node = make("section", "macgpu-device");
  const top = make("div", "macgpu-top");
  const name = nameMark();
  const state = stateMark();
  const reason = make("p", "macgpu-reason");
  const about = make("p", "macgpu-about");
  const gauges = make("div", "macgpu-gauges");
  const facts = make("dl", "macgpu-facts");
  const cells = listing("Cells of this account", "macgpu-cells", ["Run", "Of", "How"]);
  const values = listing("Values of this notebook's worker", "macgpu-values", ["Value", "Type", "Size"]);
  const none = make("p", "macgpu-label");
  const note = make("p", "macgpu-label");
  const does = actions(talk);
  top.append(name.node, state.node);
  if (isAlone) node.append(top);
  node.append(reason, about, gauges, facts, cells.node, values.node, none, note, does.node);
  return {
    node,
    update(shown, lines) {
      if (!shown.host) return;
      mark(node, "aria-label", `Device ${shown.host}${shown.simulated ? ", simulated" : ""}`);
      name.update(shown);
      state.update(shown);
      say(reason, shown.reason);
      show(reason, shown.reason !== "");
      say(about, shown.about);
      keep(gauges, shown.gauges, (gauge) => gauge.name, gaugeRow,
        (row, gauge) => row.macgpuFill(gauge, lines ?? EMPTY));
      keep(facts, shown.facts, ([fact]) => fact, factRow, fillFact);
      cells.update(shown.cells.map((cell) => {
        const of = [cell.what, cell.ours ? "this notebook" : ""].filter(Boolean).join(", ");
        return { key: cell.run, texts: [cell.run, of, cell.how] };
      }));
      values.update((shown.values ?? []).map((value, place) => (
        { key: `${place} ${value.name}`, texts: [value.name, value.type, value.size] })));
      say(none, "This notebook's worker holds no values.");
      show(none, shown.values !== null && shown.values.length === 0);
      say(note, shown.note);
      show(note, shown.note !== "");
      does.update(shown);
    },
  };
}

function renderDevice({ model, el }) {
  const root = make("div", "macgpu-widget tex2jax_ignore mathjax_ignore");
  const talk = conversation(model, root);
  const panel = devicePanel(talk, true);
  const update = () => panel.update(model.get("snapshot"), model.get("history"));
  root.append(panel.node, talk.line);
  return mount(el, root, model, talk, update);
}
