"use strict";
// Generators side by side, and how each differs from the first. The address holds who is compared.
(() => {
  const {number, interval, mean, draws, resampled, bounds, wilcoxon, holm, loss, load, element, takeAway} = synthward;
  const data = JSON.parse(document.getElementById("data").textContent);
  const form = document.getElementById("compare");
  const options = form.querySelector(".options");
  const place = document.getElementById("compared");
  const note = document.querySelector(".view");
  const LEAST = 2, DRAWS = 2000;
  const LISTED = ["metric", "generator", "mean", "difference", "low", "high", "p_corrected", "datasets"];

  const section = () => data.sections[form.elements.protocol.value];
  const baseline = form.elements.baseline;
  const boxes = () => [...options.querySelectorAll("input:checked")].map((box) => box.value);

  /** Numbers of the chosen generators, the one to compare with first. */
  function chosen() {
    const labels = boxes();
    const ordered = labels.includes(baseline.value) ? [baseline.value, ...labels.filter((l) => l !== baseline.value)] : labels;
    return ordered.map((label) => section().generators.findIndex((generator) => generator.label === label));
  }

  function offer(labels) {
    options.replaceChildren(...section().generators.map((generator) => {
      const label = element("label");
      const box = element("input", "", {type: "checkbox", name: "generator", value: generator.label});
      box.checked = labels.includes(generator.label);
      label.append(box, ` ${generator.label}`);
      return label;
    }));
    offerBaseline(labels[0]);
  }

  function offerBaseline(label) {
    baseline.replaceChildren(...boxes().map((name) => element("option", name, {value: name})));
    if (boxes().includes(label)) baseline.value = label;
  }

  function remember() {
    const params = new URLSearchParams([["protocol", section().slug]]);
    for (const n of chosen()) params.append("generator", section().generators[n].label);
    history.replaceState(null, "", `#${params}`);
  }

  /** How a generator differs from the first on the datasets that both have. */
  function difference(column, first, other) {
    const pairs = first.map((value, d) => [value, other[d]]).filter((pair) => pair.every((value) => value !== null));
    if (!pairs.length) return null;
    const apart = pairs.map(([from, to]) => to - from);
    return {
      mean: mean(apart), n: apart.length, p: wilcoxon(apart),
      bounds: apart.length > 1 ? bounds(resampled(apart, draws(apart.length, DRAWS))) : null,
      lost: column.ranked ? mean(pairs.map(([from, to]) => loss(column, to) - loss(column, from))) : 0,
    };
  }

  /** A row of the table; what it says is added to `listed` too. */
  function row(column, labels, listed) {
    const made = element("tr");
    const head = element("th", column.heading, {scope: "row"});
    head.append(element("small", column.better, {class: "dim"}));
    made.append(head);
    const [first, ...others] = labels.map((n) => column.values[n]);
    const found = others.map((other) => difference(column, first, other));
    const corrected = holm(found.filter(Boolean).map((d) => d.p));
    let at = 0;
    [first, ...others].forEach((values, n) => {
      const known = values.filter((value) => value !== null);
      const cell = element("td", "", {class: "num starts"});
      const own = [column.heading, section().generators[labels[n]].label, known.length ? mean(known) : ""];
      cell.append(element("span", known.length ? number(mean(known)) : "–", {class: "value"}));
      const apart = n ? found[n - 1] : null;
      if (apart) {
        const p = corrected[at++];
        const verdict = apart.lost === 0 ? "" : apart.lost < 0 ? " better" : " worse";
        cell.append(element("span", `${apart.mean >= 0 ? "+" : ""}${number(apart.mean)}${verdict}`, {class: p < 0.05 ? "differs" : "dim"}));
        if (apart.bounds) cell.append(element("span", interval(apart.bounds), {class: "dim"}));
        cell.append(element("span", `p ${number(p)}, ${apart.n} dataset${apart.n === 1 ? "" : "s"}`, {class: "dim"}));
        own.push(apart.mean, ...(apart.bounds ?? ["", ""]), p, apart.n);
      }
      listed.push(LISTED.map((_, at) => own[at] ?? ""));
      made.append(cell);
    });
    return made;
  }

  let asked = 0;

  async function compare() {
    remember();
    const labels = chosen(), own = section(), turn = ++asked;
    note.hidden = false;
    if (labels.length < LEAST) {
      note.textContent = "Choose two generators or more.";
      place.replaceChildren();
      return;
    }
    const names = labels.map((n) => own.generators[n].label);
    note.textContent = `Differences are from ${names[0]}. Bold ones have a corrected p below .05.`;
    const metrics = await Promise.all(Object.values(own.metrics).map((metric) => load("", metric.file)));
    if (turn !== asked) return;  // while files were loaded, another choice was made
    const lacking = metrics.find((metric) => metric instanceof Error);
    if (lacking) {
      note.textContent = lacking.message;
      place.replaceChildren();
      return;
    }
    const table = element("table", "", {class: "board"});
    table.append(element("caption", `${names.join(", ")} in ${own.name}`, {class: "sr"}));
    const head = element("tr");
    head.append(element("th", "Score or metric", {scope: "col"}));
    names.forEach((name, n) => {
      const cell = element("th", name, {scope: "col", class: "starts"});
      const kind = own.generators[labels[n]].kind;
      if (kind !== "complete") cell.append(element("small", kind, {class: "dim"}));
      head.append(cell);
    });
    table.createTHead().append(head);
    const listed = [LISTED];
    const groups = new Map([["scores", own.families]]);
    for (const metric of metrics) groups.set(metric.family, [...(groups.get(metric.family) ?? []), metric]);
    for (const [name, columns] of groups) {
      const title = element("tbody", "", {class: "kind"});
      const said = element("td", "", {colspan: labels.length + 1});
      said.append(element("span", name));
      title.insertRow().append(said);
      const body = element("tbody");
      body.append(...columns.map((column) => row(column, labels, listed)));
      table.append(title, body);
    }
    const scroll = element("div", "", {class: "scroll", role: "region", "aria-label": "Comparison", tabindex: "0"});
    scroll.append(table);
    place.replaceChildren(scroll);
    takeAway(table, () => listed);
  }

  function start() {
    const params = new URLSearchParams(location.hash.slice(1));
    const n = data.sections.findIndex((own) => own.slug === params.get("protocol"));
    form.elements.protocol.value = Math.max(0, n);
    const labels = params.getAll("generator");
    offer(labels.length ? labels : section().generators.filter((g) => g.kind === "complete").slice(0, LEAST).map((g) => g.label));
    compare();
  }

  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.elements.protocol.addEventListener("change", () => offer([baseline.value, ...boxes()]));
  options.addEventListener("change", () => offerBaseline(baseline.value));
  form.addEventListener("change", compare);
  window.addEventListener("hashchange", start);
  start();
})();
