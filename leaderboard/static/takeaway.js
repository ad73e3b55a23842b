"use strict";
// Every table can be taken away as it is shown: the rows and columns that are seen, in their order, numbers unrounded.
(() => {
  const {element} = synthward;
  const quoted = (value) => /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
  const seen = (part) => !part.hidden;

  /** The words of a part, without those for screen readers alone; what stands in parts of its own is set apart. */
  function words(part) {
    const said = [...part.childNodes]
      .filter((node) => node.nodeType === Node.TEXT_NODE || !node.matches(".sr, .bar"))
      .map((node) => node.textContent.replace(/[\s\u00a0]+/g, " ").trim());
    return said.filter(Boolean).join(" ");
  }

  /** The rows of a table as text; a column without a heading leads elsewhere and is left out. */
  function rows(table) {
    const heads = [...table.tHead.rows].at(-1).cells;
    const columns = [...heads].map((head, n) => [words(head), n]).filter(([head, n]) => head && seen(heads[n]));
    const body = [], groups = [];
    let group = "";
    for (const row of [...table.tBodies].flatMap((own) => [...own.rows])) {
      if (row.cells.length === 1 && heads.length > 1) group = words(row.cells[0]);
      else if (seen(row)) {
        body.push(row);
        groups.push(group);
      }
    }
    const found = columns.map(([head, n]) => {
      const cells = body.map((row) => row.cells[n]);
      const exact = cells.map((cell) => cell.matches(".num[data-sort]") ? cell.dataset.sort : words(cell));
      const bounds = cells.map((cell) => words(cell).match(/\[\S+, \S+\]/)?.[0] ?? "");
      // What a number lacks goes with it.
      const notes = cells.map((cell) => [...cell.querySelectorAll(".num > .missing")].map(words).join("; "));
      const more = [["interval", bounds], ["note", notes]].filter(([, said]) => said.some(Boolean));
      return [[head, ...exact], ...more.map(([name, said]) => [`${head}, ${name}`, ...said])];
    }).flat();
    if (groups.some(Boolean)) found.push(["Group", ...groups]);
    return [...Array(body.length + 1).keys()].map((at) => found.map((column) => column[at]));
  }

  /** Offer a table as a file: after it, beside the files that the site has of it.
   *
   * `made` gives the rows if they are not to be read from the table.
   */
  synthward.takeAway = (table, made = () => rows(table)) => {
    const frame = table.closest(".scroll"), named = frame.getAttribute("aria-label");
    const button = element("button", "CSV as shown", {type: "button", class: "take-away", "aria-label": `CSV as shown: ${named}`});
    button.addEventListener("click", () => {
      const text = made().map((row) => row.map((value) => quoted(String(value))).join(",")).join("\n");
      const address = URL.createObjectURL(new Blob([text, "\n"], {type: "text/csv"}));
      const name = `${document.title} ${named}`.toLowerCase().replace(/[^a-z0-9]+/g, "-").slice(0, 100);
      element("a", "", {href: address, download: `${name}.csv`}).click();
      setTimeout(() => URL.revokeObjectURL(address), 60000);
    });
    const beside = frame.nextElementSibling;
    if (beside?.matches(".downloads")) beside.append(", ", button);
    else {
      const line = element("p", "To take away: ", {class: "small dim downloads"});
      line.append(button);
      frame.after(line);
    }
  };

  document.querySelectorAll(".scroll > table").forEach((table) => synthward.takeAway(table));
})();
