// All hosts: a line for each, and one of them in full below its line.

const ORDERS = [
  ["name", "Name"],
  ["free", "Free memory"],
  ["gpu", "GPU"],
  ["queue", "Queue"],
  ["state", "State"],
];
const COLUMNS = ["Host", "State", "GPU", "Memory", "Cells", "Actions"];

function inOrder(hosts, order) {
  const byName = (a, b) => a.host.localeCompare(b.host, undefined, { numeric: true });
  const keys = {
    name: () => 0,
    // Most free memory first, the idlest GPU and the shortest queue first; unknown comes last.
    free: (host) => (host.sort.free === null ? 1 : -host.sort.free),
    gpu: (host) => host.sort.gpu ?? 2,
    queue: (host) => host.sort.queue,
    state: (host) => ["ready", "busy"].indexOf(host.state) + (
      ["ready", "busy"].includes(host.state) ? 0 : 3),
  };
  return [...hosts].sort((a, b) => keys[order](a) - keys[order](b) || byName(a, b));
}

function fits(host, words) {
  const text = [host.host, host.chip, host.state, host.reason, host.labels,
    host.simulated ? "simulated" : ""].join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

function fleetRow(talk, opened) {
  const row = make("tr", "macgpu-host");
  const name = nameMark();
  const chip = make("span", "macgpu-label");
  const kindOf = make("span", "macgpu-kind");
  const state = stateMark();
  const line = sparkline(30);
  const gpu = make("span", "macgpu-text");
  const level = bar();
  const memory = make("span", "macgpu-text");
  const queue = make("span", "macgpu-text");
  const why = make("td", "macgpu-why macgpu-label");
  const use = button("Use", () => talk.ask("use", host.chosen ? "" : host.host));
  const open = button("Show", () => talk.ask("open", isOpen ? "" : host.host));
  const places = [[name.node, kindOf], [state.node], [line.node, gpu], [level.node, memory],
    [queue], [use, open]];
  let host = null;
  let isOpen = false;
  kindOf.append(chip, name.simulated);
  row.setAttribute("role", "row");
  places.forEach((parts, place) => {
    const cell = make(place ? "td" : "th", `macgpu-cell-${place}`);
    cell.setAttribute("role", place ? "cell" : "rowheader");
    cell.append(...parts);
    row.append(cell);
  });
  why.setAttribute("role", "cell");
  row.append(why);
  row.macgpuFill = (now, lines) => {
    host = now;
    isOpen = opened() === host.host;
    name.update(host);
    say(chip, host.chip);
    state.update(host);
    line.update((lines.gpu ?? []).slice(-30));
    say(gpu, host.gpu.text);
    mark(gpu, "aria-label", `GPU ${host.gpu.text}`);
    level.update(host.memory);
    show(level.node, host.memory.share !== null);
    say(memory, host.memory.text);
    say(queue, host.queue);
    say(why, host.reason);
    mark(why, "title", host.reason);
    show(why, host.reason !== "" && !isOpen);
    say(use, host.chosen ? "In use" : "Use");
    mark(use, "aria-pressed", host.chosen ? "true" : "false");
    mark(use, "aria-label", `Run this notebook's cells on ${host.host}`);
    say(open, isOpen ? "Hide" : "Show");
    mark(open, "aria-expanded", isOpen ? "true" : "false");
    mark(open, "aria-label", `${open.textContent} all of ${host.host}`);
    row.toggleAttribute("data-open", isOpen);
  };
  return row;
}

function heads() {
  const head = make("thead");
  const row = make("tr");
  head.setAttribute("role", "rowgroup");
  row.setAttribute("role", "row");
  COLUMNS.forEach((column, place) => {
    const cell = make("th", `macgpu-cell-${place}`);
    cell.setAttribute("role", "columnheader");
    cell.append(make("span", place === COLUMNS.length - 1 ? "macgpu-unseen" : "", column));
    row.append(cell);
  });
  head.append(row);
  return head;
}

function toolbar(changed, talk) {
  const node = make("div", "macgpu-tools");
  const filter = make("input", "macgpu-field");
  const order = make("select", "macgpu-field");
  const count = make("span", "macgpu-label");
  const any = button("Use any", () => talk.ask("use", ""));
  filter.type = "search";
  filter.placeholder = "Filter";
  filter.setAttribute("aria-label", "Filter hosts by name, chip, state or label");
  order.setAttribute("aria-label", "Sort hosts by");
  for (const [value, text] of ORDERS) {
    const option = make("option", "", text);
    option.value = value;
    order.append(option);
  }
  filter.addEventListener("input", changed);
  order.addEventListener("change", changed);
  count.setAttribute("aria-live", "polite");
  // The notebook's own shortcuts stay out of what is typed here.
  for (const field of [filter, order]) {
    field.addEventListener("keydown", (event) => event.stopPropagation());
  }
  node.append(filter, order, count, any);
  return {
    node,
    words: () => filter.value.toLowerCase().split(/\s+/).filter(Boolean),
    order: () => order.value,
    update(shown, all, uses) {
      const hosts = all === 1 ? "1 host" : `${all} hosts`;
      say(count, shown === all ? hosts : `${shown} of ${hosts}`);
      show(any, uses !== "");
      mark(any, "title", uses ? `This notebook uses ${uses}` : "");
    },
  };
}

function detailRow(panel) {
  const row = make("tr", "macgpu-detail");
  const cell = make("td");
  row.setAttribute("role", "row");
  cell.setAttribute("role", "cell");
  cell.setAttribute("aria-colspan", COLUMNS.length);
  cell.colSpan = COLUMNS.length;
  cell.append(panel.node);
  row.append(cell);
  return row;
}

function renderFleet({ model, el }) {
  const root = make("div", "macgpu-widget macgpu-fleet tex2jax_ignore mathjax_ignore");
  const talk = conversation(model, root);
  const table = make("table", "macgpu-hosts");
  const body = make("tbody");
  const none = make("p", "macgpu-label", "No host fits.");
  const panel = devicePanel(talk, false);
  const detail = detailRow(panel);
  const opened = () => model.get("snapshot").device?.host ?? "";
  const build = (item) => (item.detail ? detail : fleetRow(talk, opened));
  const fill = (node, item) => {
    const lines = model.get("history")[item.host] ?? EMPTY;
    if (item.detail) panel.update(item.detail, lines);
    else node.macgpuFill(item, lines);
  };
  const update = () => {
    const snapshot = model.get("snapshot");
    const all = snapshot.hosts ?? [];
    const hosts = inOrder(all.filter((host) => fits(host, tools.words())), tools.order());
    const items = hosts.flatMap((host) => (host.host === opened()
      ? [host, { host: host.host, detail: snapshot.device }] : [host]));
    keep(body, items, (item) => (item.detail ? "detail" : `host ${item.host}`), build, fill);
    tools.update(hosts.length, all.length, snapshot.uses ?? "");
    show(none, hosts.length === 0);
  };
  const tools = toolbar(update, talk);
  table.setAttribute("role", "table");
  table.setAttribute("aria-label", "Hosts of the fleet");
  body.setAttribute("role", "rowgroup");
  table.append(heads(), body);
  root.append(tools.node, table, none, talk.line);
  return mount(el, root, model, talk, update);
}

export default { render: renderFleet };
