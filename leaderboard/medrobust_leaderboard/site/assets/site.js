// Sorting, filtering and paging of tables by DataTables; without this script the tables are plain and complete.
"use strict";
(() => {
  const PAGE = 50, UNPAGED = 100, CHOICES = 80, PRINTED = 2000;
  const collator = new Intl.Collator("en", { numeric: true });
  const escaped = (text) => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

  // The order of labels as people sort them: linf:2/255 before linf:10/255.
  const ranks = (labels) => {
    const sorted = [...new Set(labels)].sort(collator.compare);
    return new Map(sorted.map((label, place) => [label, place]));
  };

  const options = (rows, search) => ({
    autoWidth: false,
    order: [],
    paging: rows > UNPAGED,
    pageLength: PAGE,
    lengthChange: false,
    layout: { topStart: null, topEnd: "search", bottomStart: "info", bottomEnd: rows > UNPAGED ? "paging" : null },
    language: {
      search,
      info: "_START_ to _END_ of _TOTAL_",
      infoEmpty: "Nothing matches",
      infoFiltered: "(of _MAX_)",
      zeroRecords: "Nothing matches. Clear the search or choose “all”.",
      emptyTable: "Nothing here.",
    },
  });

  // The table leaves its scrolling frame, so that search and filters stand still while it scrolls.
  const unframed = (table) => {
    const frame = table.closest(".scroll");
    frame.replaceWith(table);
    return (made) => {
      const cell = made.table().node().parentElement;
      cell.classList.add("scroll");
      for (const { name, value } of frame.attributes) if (name !== "class") cell.setAttribute(name, value);
    };
  };

  // On a phone rows become cards, whose entries name their column; roles keep the table a table for screen readers.
  const asCards = (table) => {
    const names = [...table.tHead.rows[0].cells].map((head) => head.textContent.trim());
    for (const [part, role] of [["table", "table"], ["thead, tbody", "rowgroup"], ["tr", "row"],
      ["thead th", "columnheader"], ["tbody th", "rowheader"], ["td", "cell"]]) {
      for (const each of part === "table" ? [table] : table.querySelectorAll(part)) each.setAttribute("role", role);
    }
    for (const row of table.tBodies[0].rows) {
      [...row.cells].forEach((cell, place) => { if (row.cells.length > 1) cell.dataset.label = names[place]; });
    }
  };

  // Filters and the search stand in one line above the table.
  const addFilters = (made, filters) => {
    const bar = document.createElement("div");
    bar.className = "filters";
    for (const { column, name, values, of } of filters) {
      if (values.length < 2 || values.length > CHOICES) continue;
      const label = document.createElement("label"), select = document.createElement("select");
      label.append(`${name} `, select);
      select.append(new Option("all", ""), ...values.map((value) => new Option(value, `=${value}`)));
      select.addEventListener("change", () => {
        const wanted = select.value;
        made.column(column).search.fixed("choice", wanted ? (_, row, place) => `=${of(row, place)}` === wanted : null);
        made.draw();
      });
      bar.append(label);
    }
    const container = made.table().container();
    bar.append(...container.querySelectorAll(".dt-search"));
    if (bar.children.length) container.prepend(bar);
    made.on("draw", () => asCards(made.table().node()));
    asCards(made.table().node());
  };

  const enhance = (table) => {
    const rows = [...table.tBodies[0].rows];
    const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
    const told = (cell) => cell.dataset.filter ?? cell.textContent.trim();
    heads.forEach((_, column) => {
      const cells = rows.map((row) => row.cells[column]).filter((cell) => cell && cell.dataset.order === undefined);
      const order = ranks(cells.map(told));
      for (const cell of cells) cell.dataset.order = order.get(told(cell));
    });
    const texts = heads.map((_, column) => rows.map((row) => told(row.cells[column])));
    const filters = heads.flatMap((head, column) => head.dataset.filter === undefined ? [] : [{
      column,
      name: head.textContent.trim(),
      values: [...ranks(texts[column]).keys()],
      of: (_, place) => texts[column][place],
    }]);
    const reframe = unframed(table);
    const settings = options(rows.length, table.dataset.search ?? "");
    if (table.dataset.search === undefined) Object.assign(settings.layout, { topEnd: null, bottomStart: null });
    const made = new DataTable(table, settings);
    reframe(made);
    addFilters(made, filters);
  };

  const listCells = (table) => {
    const { axes, labels, states, rows } = CELLS;
    const chosen = new URLSearchParams(location.hash.slice(1)).get("cells");
    const ids = chosen === null ? null : new Set(chosen.split(","));
    const data = ids === null ? rows : rows.filter((row) => ids.has(row[0]));
    document.getElementById("chosen").hidden = ids === null;
    const last = axes.length + 1;
    const attack = axes.indexOf("attack");
    const words = (place, names) => {
      const order = ranks(names), index = names.map((name) => order.get(name));
      const shown = names.map(escaped);
      return {
        data: null,
        render: (_, type, row) => {
          const value = row[place];
          if (type === "sort" || type === "type") return index[value];
          if (type !== "display") return names[value];
          return place === attack + 1 ? `<a href="cells/${row[0]}.html">${shown[value]}</a>` : shown[value];
        },
      };
    };
    const columns = axes.map((_, place) => words(place + 1, labels[place]));
    columns.push({
      data: null,
      className: "number",
      render: (_, type, row) => {
        const value = row[last];
        if (type === "sort" || type === "type") return value ?? -1;
        return value === null ? "–" : `${(value / 10).toFixed(1)} %`;
      },
    }, words(last + 1, states));
    const reframe = unframed(table);
    const made = new DataTable(table, { ...options(data.length, "Search cells"), data, columns, deferRender: true });
    reframe(made);
    const named = axes.map((name, place) => ({ column: place, name, place: place + 1, names: labels[place] }));
    named.push({ column: last, name: "state", place: last + 1, names: states });
    addFilters(made, named.map(({ column, name, place, names }) => ({
      column, name: name[0].toUpperCase() + name.slice(1),
      values: [...ranks(names).keys()],
      of: (row) => names[row[place]],
    })));
  };

  document.querySelectorAll("table[data-sortable]").forEach(enhance);
  const all = document.getElementById("all-cells");
  if (all) {
    listCells(all);
    addEventListener("hashchange", () => location.reload());
  }

  // Paper has no pages to click through.
  const tables = () => DataTable.tables({ api: true });
  addEventListener("beforeprint", () => tables().iterator("table", (settings) => {
    const table = new DataTable.Api(settings);
    if (table.rows().count() <= PRINTED) table.page.len(-1).draw();
  }));
  addEventListener("afterprint", () => tables().iterator("table", (settings) => {
    const table = new DataTable.Api(settings);
    if (table.rows().count() > UNPAGED) table.page.len(PAGE).draw();
  }));
})();
