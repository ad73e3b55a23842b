"use strict";
// What the scripts of the site share: numbers as the pages print them, and statistics over datasets.
const synthward = {
  DRAWS: 1000,

  /** Three decimals up to ten, three digits above, as `text.number` of the pages. */
  number(value) {
    if (value === null || value === undefined || Number.isNaN(value)) return "–";
    const size = Math.abs(value);
    let said;
    if (size < 1e-12) said = "0.000";
    else if (size < 0.0005) said = value.toPrecision(1).replace(/e-0?/, "e-");
    else if (size >= 1e9) said = value.toExponential(2);
    else {
      const places = size >= 10 ? Math.max(0, 3 - size.toFixed(0).length) : 3;
      said = value.toLocaleString("en", {minimumFractionDigits: places, maximumFractionDigits: places});
    }
    return said.replace("-", "−");
  },

  interval([low, high]) {
    return `[${synthward.number(low)}, ${synthward.number(high)}]`;
  },

  mean(values) {
    return values.reduce((sum, value) => sum + value, 0) / values.length;
  },

  /** A generator of numbers in [0, 1) that gives the same ones on every machine (mulberry32). */
  random(seed) {
    return () => {
      seed = (seed + 0x6D2B79F5) | 0;
      let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
  },

  /** Numbers of datasets drawn with replacement: as many as there are, `draws` times. All generators share them. */
  draws(count, draws = synthward.DRAWS) {
    const random = synthward.random(count);
    return Array.from({length: draws}, () => Int32Array.from({length: count}, () => Math.floor(random() * count)));
  },

  /** Means of the drawn datasets, one a draw. */
  resampled(values, draws) {
    return draws.map((drawn) => drawn.reduce((sum, n) => sum + values[n], 0) / drawn.length);
  },

  /** 95 % of what was drawn lies between these, as numpy's quantiles. */
  bounds(drawn) {
    const sorted = Float64Array.from(drawn).sort();
    return [0.025, 0.975].map((share) => {
      const at = share * (sorted.length - 1), below = Math.floor(at);
      return sorted[below] + (at - below) * ((sorted[below + 1] ?? sorted[below]) - sorted[below]);
    });
  },

  /** Two-sided p value of Wilcoxon's signed-rank test, zeros left out; exact up to 50 differences, ties included. */
  wilcoxon(differences) {
    const left = differences.map((d) => Math.round(d * 1e12) / 1e12).filter((d) => d !== 0);
    if (!left.length) return 1;
    const order = left.map(Math.abs).sort((a, b) => a - b);
    // Twice the mean rank of equal sizes, so that it is whole.
    const rank = (d) => order.indexOf(Math.abs(d)) + order.lastIndexOf(Math.abs(d)) + 2;
    const ranks = left.map(rank), whole = ranks.reduce((sum, r) => sum + r, 0);
    const positive = left.reduce((sum, d, n) => sum + (d > 0 ? ranks[n] : 0), 0);
    const least = Math.min(positive, whole - positive);
    if (left.length > 50) {
      const spread = Math.sqrt(ranks.reduce((sum, r) => sum + r * r, 0)) / 2;
      return Math.min(1, synthward.tails((least - whole / 2) / spread));
    }
    let ways = new Float64Array(whole + 1);
    ways[0] = 1;
    for (const r of ranks) {
      const next = ways.slice();
      for (let sum = r; sum <= whole; sum++) next[sum] += ways[sum - r];
      ways = next;
    }
    const below = ways.slice(0, least + 1).reduce((sum, n) => sum + n, 0);
    return Math.min(1, 2 * below / 2 ** left.length);
  },

  /** Share of a standard normal beyond |z| on both sides (Abramowitz and Stegun 7.1.26). */
  tails(z) {
    const x = Math.abs(z) / Math.SQRT2, t = 1 / (1 + 0.3275911 * x);
    const poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    return poly * Math.exp(-x * x);
  },

  /** P values corrected by Holm for their number. */
  holm(given) {
    const order = given.map((_, n) => n).sort((a, b) => given[a] - given[b]);
    const corrected = new Array(given.length);
    let least = 0;
    order.forEach((n, place) => {
      least = Math.max(least, given[n] * (given.length - place));
      corrected[n] = Math.min(1, least);
    });
    return corrected;
  },

  /** What is to be small. */
  loss(column, value) {
    if (column.direction === "target") return Math.abs(value - column.ideal);
    return column.direction === "min" ? value : -value;
  },

  waiting: new Map(),

  /** The values of a metric, from the file that holds them; an error if it cannot be had now. */
  load(root, path) {
    if (!synthward.waiting.has(path)) {
      synthward.waiting.set(path, new Promise((resolve) => {
        const script = document.createElement("script");
        script.onerror = () => {
          synthward.waiting.delete(path);
          resolve(new Error(`${path} could not be loaded: choose again when it can be reached.`));
        };
        // A host may answer with a page that says that there is no such file.
        script.onload = () => path in synthward.loaded ? resolve(synthward.loaded[path]) : script.onerror();
        script.src = root + path;
        document.head.append(script);
      }));
    }
    return synthward.waiting.get(path);
  },

  loaded: {},

  /** An element with text, and what else it is to have. */
  element(name, text = "", attributes = {}) {
    const made = document.createElement(name);
    made.textContent = text;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  },
};
