// Tables that are sorted by their heads and filtered by a form; curves to choose from; a command to copy.
"use strict";
(() => {
  const collator = new Intl.Collator("en", { numeric: true });

  function sortable(table) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      if (head.hasAttribute("data-unsorted")) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        // Figures are read from the highest; names and ranks from the first.
        const first = head.classList.contains("number") && !/rank/i.test(button.textContent) ? "descending" : "ascending";
        const other = first === "descending" ? "ascending" : "descending";
        const order = head.getAttribute("aria-sort") === first ? other : first;
        heads.forEach((one) => one.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", order);
        sort(table, column, order === "ascending" ? 1 : -1);
      });
    });
  }

  function value(row, column) {
    const cell = row.cells[column];
    if (column === 0) return cell.textContent;
    if (!cell.hasAttribute("data-sort")) return null;
    const number = Number(cell.dataset.sort);
    return Number.isNaN(number) ? cell.dataset.sort : number;
  }

  function compare(one, other) {
    return typeof one === "number" && typeof other === "number" ? one - other : collator.compare(one, other);
  }

  // Each group of rows for itself: oracles stay apart.
  function sort(table, column, direction) {
    for (const body of table.tBodies) {
      const rows = [...body.rows].filter((row) => row.classList.contains("line"));
      const keyed = rows.map((row, place) => ({ row, place, key: value(row, column) }));
      keyed.sort((a, b) => {
        if (a.key === null || b.key === null) return (a.key === null) - (b.key === null) || a.place - b.place;
        return direction * compare(a.key, b.key) || a.place - b.place;
      });
      body.append(...keyed.map((one) => one.row));
    }
  }

  document.querySelectorAll("table.sortable").forEach(sortable);

  const tools = document.querySelector("[data-tools]");
  if (tools) {
    const bodies = [...document.querySelectorAll("table[data-filtered] tbody")];
    const lines = bodies.map((body) =>
      [...body.rows].filter((row) => row.classList.contains("line")).map((row) => {
        const head = row.cells[0];
        const about = head.firstElementChild?.title ?? "";
        return { row, text: `${head.textContent} ${about}`.toLowerCase(), oracle: row.classList.contains("oracle") };
      }),
    );
    const filter = () => {
      const text = tools.elements.text.value.trim().toLowerCase();
      const mechanism = tools.elements.mechanism.value;
      const oracles = tools.elements.oracles.checked;
      let shown = 0, all = 0;
      bodies.forEach((body, place) => {
        let here = 0;
        for (const line of lines[place]) {
          const fits = line.text.includes(text) && (oracles || !line.oracle);
          const visible = fits && (!mechanism || line.row.dataset.mechanism === mechanism);
          line.row.hidden = !visible;
          here += visible;
        }
        body.hidden = !here;
        shown += here;
        all += lines[place].length;
      });
      tools.querySelector("[data-count]").textContent = shown === all ? `${all} rows` : `${shown} of ${all} rows`;
    };
    tools.hidden = false;
    tools.addEventListener("input", filter);
    tools.addEventListener("submit", (event) => event.preventDefault());
    filter();
  }

  document.querySelectorAll("[data-curves]").forEach((form) => {
    form.hidden = false;
    const choose = () => {
      const curves = document.querySelectorAll("path[data-curve]");
      const chosen = [...curves].find((path) => path.dataset.curve === form.elements.curve.value);
      curves.forEach((path) => path.classList.toggle("chosen", path === chosen));
      chosen?.parentNode.append(chosen);
    };
    form.addEventListener("input", choose);
    form.addEventListener("submit", (event) => event.preventDefault());
    choose();
  });

  document.querySelectorAll("[data-copy]").forEach((button) => {
    const code = button.parentNode.querySelector("code");
    const told = button.parentNode.querySelector("output");
    button.hidden = false;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(code.textContent);
        told.textContent = "copied";
      } catch {
        // A page from a folder may not be allowed to: select it, and the reader copies it.
        getSelection().selectAllChildren(code);
        told.textContent = "selected: copy it with your keyboard";
      }
    });
  });
})();
