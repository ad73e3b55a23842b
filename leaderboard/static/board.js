"use strict";
// The controls of the leaderboard: which rows, columns and datasets are shown, one more metric, an overall view of
// weights that the reader sets, the order of the rows. The address holds the choice. Without this, the page is whole.
(() => {
  const form = document.getElementById("controls");
  if (!form) return;
  const {number, interval, mean, draws, resampled, bounds, loss, load, element} = synthward;
  const data = JSON.parse(document.getElementById("data").textContent);
  const SETS = ["sees", "family", "domain", "task", "size", "dataset"];
  const sections = [...document.querySelectorAll("section[data-section]")];
  const original = new WeakMap();

  // -- the choice: in the form, and in the address ----------------------------------------------------------------

  const choice = () => new FormData(form);

  function written(chosen) {
    const params = new URLSearchParams();
    const weights = chosen.has("overall");
    for (const [key, value] of chosen) {
      if (value !== "" && (weights || !key.startsWith("weight-"))) params.append(key, value);
    }
    sections.forEach((section, n) => {
      const head = section.querySelector("table.sortable th[aria-sort]");
      if (head) params.append("sort", `${n}:${head.cellIndex}:${head.getAttribute("aria-sort")}`);
    });
    return params.toString();
  }

  function remember() {
    const said = written(choice());
    if (said === location.hash.slice(1)) return;
    history.replaceState(null, "", said || location.hash.includes("=") ? `#${said}` : location.href);
  }

  function recall() {
    form.reset();
    const params = new URLSearchParams(location.hash.slice(1));
    for (const field of form.elements) {
      if (!params.has(field.name)) continue;
      if (field.type === "checkbox") field.checked = params.getAll(field.name).includes(field.value);
      else field.value = params.get(field.name);
    }
    if (written(choice())) form.querySelector("details").open = true;
    return params.getAll("sort").map((said) => said.split(":"));
  }

  // -- sorting ----------------------------------------------------------------------------------------------------

  /** The library turns the order round at every click, and begins with the largest. */
  function sort(head, direction) {
    if (direction === "ascending") head.setAttribute("aria-sort", "descending");
    else head.removeAttribute("aria-sort");
    head.click();
  }

  function sortAgain(section) {
    const head = section.querySelector("table.sortable th[aria-sort]");
    if (head) sort(head, head.getAttribute("aria-sort"));
  }

  // -- what is shown ----------------------------------------------------------------------------------------------

  function keep(cell) {
    if (!original.has(cell)) {
      original.set(cell, {nodes: [...cell.childNodes], sort: cell.dataset.sort, class: cell.className});
    }
  }

  function restore(cell) {
    const kept = original.get(cell);
    if (!kept) return;
    cell.replaceChildren(...kept.nodes);
    cell.dataset.sort = kept.sort;
    cell.className = kept.class;
  }

  function fill(cell, score) {
    cell.className = `num starts ${score.mark ?? ""}`;
    cell.dataset.sort = score.mean ?? "";
    const value = element("span", number(score.mean), {class: "value"});
    if (score.mark) value.append(element("span", score.mark, {class: "mark"}));
    cell.replaceChildren(value);
    if (score.bounds) cell.append(element("span", interval(score.bounds), {class: "dim"}));
    if (score.of) cell.append(element("span", score.of, {class: "dim missing"}));
  }

  /**
   * Scores of all generators over the chosen datasets, as the page has them over all.
   * `values` are by generator and dataset; who lacks a dataset where another competitor has a value is not compared.
   */
  function scores(section, column, values, chosen) {
    const applies = chosen.filter((d) => section.generators.some((g, n) => g.kind === "complete" && values[n][d] !== null));
    const own = values.map((row) => applies.map((d) => row[d]));
    const full = own.map((row) => row.length > 0 && row.every((value) => value !== null));
    const drawn = applies.length > 1 ? draws(applies.length) : null;
    const found = own.map((row, n) => {
      const known = row.filter((value) => value !== null);
      if (!known.length) return {mean: null};
      if (!full[n]) return {mean: mean(known), of: `${known.length}/${applies.length} datasets`};
      return {mean: mean(row), bounds: drawn && bounds(resampled(row, drawn))};
    });
    const rivals = found.map((_, n) => n).filter((n) => full[n] && section.generators[n].kind === "complete");
    if (column.ranked && drawn && rivals.length > 1) {
      const losses = own.map((row) => row.map((value) => loss(column, value)));
      const best = rivals.reduce((a, b) => (mean(losses[b]) < mean(losses[a]) ? b : a));
      for (const n of rivals) {
        const apart = losses[n].map((value, d) => value - losses[best][d]);
        const [low, high] = bounds(resampled(apart, drawn));
        if (Math.abs(mean(apart)) < 1e-12) found[n].mark = "best";
        else if (low <= 0 && high >= 0) found[n].mark = "tied";
      }
    }
    return found;
  }

  /** A column at the end of a table; the same one again where it is there already. */
  function column(table, name, heading, direction) {
    let head = table.querySelector(`thead th[data-extra="${name}"]`);
    if (!head) {
      head = element("th", "", {scope: "col", class: "metric starts", "data-extra": name, tabindex: "0"});
      head.addEventListener("keydown", (event) => { if (event.key === "Enter") head.click(); });
      table.tHead.rows[0].append(head);
      for (const row of table.querySelectorAll("tr[data-generator]")) row.append(element("td", "", {"data-extra": name}));
      for (const cell of table.querySelectorAll("tbody.kind td")) cell.colSpan += 1;
    }
    head.replaceChildren(heading, element("small", direction, {class: "dim"}));
    return head;
  }

  function withdraw(table, name) {
    const cells = table.querySelectorAll(`[data-extra="${name}"]`);
    if (!cells.length) return;
    cells.forEach((cell) => cell.remove());
    for (const cell of table.querySelectorAll("tbody.kind td")) cell.colSpan -= 1;
  }

  /** The weighted mean of the families' scores on each dataset; none where one of them is missing. */
  function overall(section, weights) {
    const total = [...weights.values()].reduce((sum, weight) => sum + weight, 0);
    return section.generators.map((_, g) => section.datasets.map((_, d) => {
      let sum = 0;
      for (const [name, weight] of weights) {
        const value = section.families.find((family) => family.name === name)?.values[g][d] ?? null;
        if (value === null) return null;
        sum += weight * value;
      }
      return total > 0 ? sum / total : null;
    }));
  }

  /** Show a section as it was chosen; `loaded` is the metric that was asked for, if it has that, or why it is not there. */
  function show(element_, section, chosen, loaded) {
    const table = element_.querySelector("table.sortable");
    const picked = (name) => chosen.getAll(name);
    const allowed = (name, value) => !picked(name).length || picked(name).includes(value);
    const datasets = section.datasets.map((dataset, d) => d).filter((d) => {
      const {label, domain, task, size} = section.datasets[d];
      return allowed("dataset", label) && allowed("domain", domain) && allowed("task", task) && allowed("size", size);
    });
    const whole = datasets.length === section.datasets.length;
    element_.hidden = !datasets.length;
    const rows = [...table.querySelectorAll("tr[data-generator]")];
    const place = new Map(section.generators.map((g, n) => [g.label, n]));
    for (const row of rows) row.hidden = !allowed("sees", section.generators[place.get(row.dataset.generator)].sees);
    for (const cell of table.querySelectorAll("[data-family]")) cell.hidden = !allowed("family", cell.dataset.family);
    for (const family of section.families) {
      const found = whole ? null : scores(section, family, family.values, datasets);
      for (const row of rows) {
        const cell = row.querySelector(`td[data-family="${family.name}"]`);
        keep(cell);
        if (whole) restore(cell);
        else fill(cell, found[place.get(row.dataset.generator)]);
      }
    }
    const said = [];
    if (!whole) {
      said.push(`${datasets.length} of ${section.datasets.length} datasets: ` +
        datasets.map((d) => section.datasets[d].label).join(", ") +
        `. Scores are computed in this page: means over these datasets, with intervals of ${synthward.DRAWS} bootstrap ` +
        "draws over them. Rank groups and coverage are those of all datasets.");
    }
    const weights = new Map(section.families.filter((f) => f.weighed).map((f) => [f.name, Number(chosen.get(`weight-${f.name}`)) || 0]));
    if (chosen.has("overall") && weights.size) {
      const how = [...weights].map(([name, weight]) => `${name} ${weight}`).join(", ");
      column(table, "overall", "overall ↑", how);
      const found = scores(section, {direction: "max", ranked: true}, overall(section, weights), datasets);
      for (const row of rows) fill(row.querySelector('[data-extra="overall"]'), found[place.get(row.dataset.generator)]);
      said.push(`Overall is the mean of the scores by your weights: ${how}.`);
    } else withdraw(table, "overall");
    if (loaded instanceof Error) said.push(loaded.message);
    if (loaded && !(loaded instanceof Error)) {
      column(table, "metric", loaded.heading, loaded.better);
      const found = whole ? loaded.whole : scores(section, loaded, loaded.values, datasets);
      for (const row of rows) fill(row.querySelector('[data-extra="metric"]'), found[place.get(row.dataset.generator)]);
    } else withdraw(table, "metric");
    const note = element_.querySelector(".view");
    note.textContent = said.join(" ");
    note.hidden = !said.length;
    sortAgain(element_);
  }

  let asked = 0;
  let orders = [];  // what the address says of them, until they are shown

  async function apply() {
    const chosen = choice(), turn = ++asked;
    const all = [...chosen].filter(([key, value]) => SETS.includes(key) || key === "overall" || (key === "metric" && value));
    document.getElementById("chosen").textContent = all.length ? `${all.length} chosen` : "";
    const metrics = data.sections.map((section) => section.metrics[chosen.get("metric")]);
    const loaded = await Promise.all(metrics.map((metric) => metric && load("", metric.file)));
    if (turn !== asked) return;  // while files were loaded, another choice was made
    sections.forEach((section, n) => show(section, data.sections[n], chosen, loaded[n]));
    for (const [n, index, direction] of orders.splice(0)) {
      const head = sections[n]?.querySelector("table.sortable")?.tHead.rows[0].cells[index];
      if (head) sort(head, direction);
    }
    remember();
  }

  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", apply);
  form.addEventListener("reset", () => setTimeout(apply));
  document.addEventListener("sort-end", remember);

  function start() {
    orders = recall();
    apply();
  }
  window.addEventListener("hashchange", () => { if (location.hash.includes("=")) start(); });
  start();
})();
