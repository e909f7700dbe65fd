// The queries of a result: searched, filtered, put in order and turned by pages. Text of a result is only ever set as
// text, never as HTML.
"use strict";
const grapebench = (() => {
  const PAGE = 10;
  const LONG = 320;
  let shared = null, own = null;

  function el(name, attributes, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) {
      if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value);
    }
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
  }

  const number = (value) => value.toLocaleString("en");
  const named = (coded, place) => (!coded ? "" : coded.names[coded.of ? coded.of[place] : 0]);

  function start() {
    const root = document.querySelector("[data-queries]");
    const form = root.querySelector("form");
    const fields = form.elements;
    const count = shared.ids.length;
    const ranked = Boolean(own.rank);
    const before = own.precisionBefore || own.before;
    const after = own.precision || own.rank;
    // How many times better: from 10 to 1 is as much as from 100 to 10. Average precision by its difference.
    const gain = new Float64Array(count);
    if (ranked) {
      for (let q = 0; q < count; q++) {
        gain[q] = own.precision ? after[q] - before[q] : Math.log(before[q] / after[q]);
      }
    }
    const texts = shared.ids.map((id, q) => {
      const rewrite = own.rewrites && own.rewrites[q] !== null ? own.rewrites[q] : "";
      const notes = own.notes[q] ? Object.values(own.notes[q]).join("\n") : "";
      return `${id}\n${shared.texts ? shared.texts[q] : ""}\n${[rewrite].flat().join("\n")}\n${notes}`.toLowerCase();
    });
    let found = [], page = 0, only = null;

    for (const kind of ["language", "category"]) {
      const coded = shared[kind];
      if (!coded || coded.names.length < 2) continue;
      coded.names.forEach((name, place) => {
        if (name) fields[kind].append(el("option", { value: String(place) }, name));
      });
      form.querySelector(`[data-${kind}]`).hidden = false;
    }
    if (!ranked) {
      fields.order.closest("label").hidden = true;
      fields.only.closest("label").hidden = true;
      form.querySelector("fieldset").hidden = true;
    }

    function fits(q, wanted) {
      if (wanted.text && !texts[q].includes(wanted.text)) return false;
      if (wanted.language !== "" && shared.language.of[q] !== wanted.language) return false;
      if (wanted.category !== "" && shared.category.of[q] !== wanted.category) return false;
      if (wanted.only === "fallback" && !(own.notes[q] && own.notes[q].Fallback)) return false;
      if (wanted.only === "gained" && !(gain[q] > 0)) return false;
      if (wanted.only === "lost" && !(gain[q] < 0)) return false;
      if (wanted.only === "same" && gain[q] !== 0) return false;
      return !ranked || (own.rank[q] >= wanted.from && own.rank[q] <= wanted.to);
    }

    function select() {
      const place = (name) => (fields[name].value === "" ? "" : Number(fields[name].value));
      const wanted = {
        text: fields.text.value.trim().toLowerCase(), only: fields.only.value,
        language: place("language"), category: place("category"),
        from: Number(fields.from.value) || 1, to: Number(fields.to.value) || Infinity,
      };
      found = [];
      for (let q = 0; q < count; q++) {
        if (only === null ? fits(q, wanted) : q === only) found.push(q);
      }
      const orders = {
        gains: (a, b) => gain[b] - gain[a], losses: (a, b) => gain[a] - gain[b],
        best: (a, b) => (own.precision ? after[b] - after[a] : after[a] - after[b]),
        worst: (a, b) => (own.precision ? after[a] - after[b] : after[b] - after[a]),
      };
      const order = orders[fields.order.value];
      if (ranked && order) found.sort((a, b) => order(a, b) || a - b);
    }

    function show() {
      const pages = Math.max(1, Math.ceil(found.length / PAGE));
      page = Math.min(page, pages - 1);
      const first = page * PAGE, some = found.slice(first, first + PAGE);
      const list = root.querySelector("[data-list]");
      list.start = first + 1;
      list.replaceChildren(...some.map(card));
      const range = some.length ? `, ${number(first + 1)} to ${number(first + some.length)} shown` : "";
      const of = found.length === count ? `${number(count)} queries` : `${number(found.length)} of ${number(count)} queries`;
      root.querySelector("[data-count]").textContent = of + range;
      root.querySelectorAll("[data-page]").forEach((one) => (one.textContent = `Page ${number(page + 1)} of ${number(pages)}`));
      root.querySelectorAll("[data-previous]").forEach((one) => (one.disabled = page === 0));
      root.querySelectorAll("[data-next]").forEach((one) => (one.disabled = page >= pages - 1));
    }

    function long(text) {
      if (text.length <= LONG) return [text];
      const more = el("span", { class: "open" }, " … all of it");
      const open = el("details", null, el("summary", null, el("span", { class: "begin" }, text.slice(0, LONG - 60)), more), text);
      return [open];
    }

    function term(name, value, attributes) {
      const parts = Array.isArray(value) ? [el("ul", null, ...value.map((one) => el("li", null, one)))] : long(value);
      return [el("dt", null, name), el("dd", attributes, ...parts)];
    }

    function card(q) {
      const id = shared.ids[q];
      const head = el("header", null, el("h3", null, el("a", { href: `#${new URLSearchParams({ query: id })}` }, `Query ${id}`)));
      for (const kind of ["language", "category"]) {
        if (named(shared[kind], q)) head.append(el("span", { class: "tag" }, named(shared[kind], q)));
      }
      if (ranked) head.append(ranks(q));
      const told = el("dl");
      const language = named(shared.language, q);
      const lang = /^[a-z]{2,3}(-[a-z0-9]+)*$/i.test(language) ? language : null;
      if (shared.texts) told.append(...term("Query", shared.texts[q], { lang }));
      else told.append(...term("Query", "its text is not published", { class: "none" }));
      if (!own.rewrites) told.append(...term("Rewrite", "not published with this result", { class: "none" }));
      else if (own.rewrites[q] === null) told.append(...term("Rewrite", "none: searched as it came", { class: "none" }));
      else told.append(...term("Rewrite", own.rewrites[q], { class: "rewrite" }));
      for (const [name, value] of Object.entries(own.notes[q] || {})) told.append(...term(name, value));
      const seen = el("div", { class: "seen" });
      if (shared.reference && shared.reference[q] >= 0) seen.append(picture("Reference", shared.reference[q]));
      if (shared.target[q] >= 0) seen.append(picture("Right image", shared.target[q]));
      for (const [name, tops] of [["The best before", shared.tops], ["The best after", own.tops]]) {
        if (tops) seen.append(strip(name, tops, q));
      }
      return el("li", null, el("article", { class: "query", "aria-label": `Query ${id}` }, head, told, seen));
    }

    function ranks(q) {
      const way = gain[q] > 0 ? "up" : gain[q] < 0 ? "down" : "same";
      const mark = { up: "▲", down: "▼", same: "=" }[way];
      const told = { up: "gained", down: "lost", same: "unchanged" }[way];
      let text = `rank ${number(own.before[q])} → ${number(own.rank[q])}`;
      if (own.precision) text += `, AP ${(100 * before[q]).toFixed(1)} → ${(100 * after[q]).toFixed(1)}`;
      return el("span", { class: `ranks ${way}` }, el("span", { "aria-hidden": "true" }, `${mark} `), text,
        el("span", { class: "hidden-text" }, ` (${told})`));
    }

    function image(place, alt, size) {
      if (!shared.pictures) return el("span", { class: "name" }, shared.gallery[place]);
      return el("img", { src: `../pictures/${encodeURIComponent(shared.pictures[place])}`, alt, title: shared.gallery[place],
        width: size, height: size, loading: "lazy", decoding: "async" });
    }

    function picture(name, place) {
      const shown = shared.pictures ? image(place, `${name}: ${shared.gallery[place]}`, 64)
        : el("span", { class: "name" }, shared.gallery[place]);
      return el("figure", null, el("figcaption", null, name), shown);
    }

    function strip(name, tops, q) {
      const places = tops.of.slice(q * tops.depth, (q + 1) * tops.depth).filter((place) => place >= 0);
      const items = places.map((place, rank) => {
        const right = place === shared.target[q];
        const alt = `${rank + 1}: ${right ? "the right image, " : ""}${shared.gallery[place]}`;
        const item = el("li", { class: right ? "target" : null }, image(place, alt, 46));
        if (right && !shared.pictures) item.append(el("span", { class: "hidden-text" }, " (the right image)"));
        return item;
      });
      return el("figure", { class: "strip" }, el("figcaption", null, name), el("ol", { "aria-label": name }, ...items));
    }

    const NAMES = ["text", "order", "only", "language", "category", "from", "to"];

    function remember() {
      const state = new URLSearchParams();
      if (only !== null) state.set("query", shared.ids[only]);
      for (const name of NAMES) {
        const value = fields[name].value;
        if (value && !(name === "order" && value === "task")) state.set(name, value);
      }
      if (page) state.set("page", String(page + 1));
      const text = String(state);
      if (text || location.hash.includes("=")) history.replaceState(null, "", text ? `#${text}` : "#queries");
    }

    function recall() {
      if (!location.hash.includes("=")) return;
      const state = new URLSearchParams(location.hash.slice(1));
      for (const name of NAMES) if (state.has(name)) fields[name].value = state.get(name);
      const one = shared.ids.indexOf(state.get("query"));
      only = one < 0 ? null : one;
      page = Math.max(0, (Number(state.get("page")) || 1) - 1);
    }

    function changed() {
      only = null;
      page = 0;
      select();
      show();
      remember();
    }

    function turn(by) {
      page += by;
      show();
      remember();
    }

    form.addEventListener("input", changed);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(changed));
    root.querySelectorAll("[data-previous]").forEach((one) => one.addEventListener("click", () => turn(-1)));
    root.querySelectorAll("[data-next]").forEach((one) => one.addEventListener("click", () => turn(1)));
    // Those at the foot lead to the head of the next page.
    const [, foot] = root.querySelectorAll(".pager");
    foot.addEventListener("click", (event) => {
      if (event.target.closest("button")) document.getElementById("queries").scrollIntoView();
    });
    addEventListener("hashchange", () => {
      recall();
      select();
      show();
    });
    recall();
    select();
    show();
    root.hidden = false;
  }

  function ready() {
    if (shared && own) start();
  }

  return {
    task(data) { shared = data; ready(); },
    result(data) { own = data; ready(); },
  };
})();
