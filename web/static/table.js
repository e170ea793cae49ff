// The table of projects: sorted by a click on a column's name, filtered by text and language.
(() => {
  "use strict";
  // Kept here, so that an updated page keeps the reader's choices.
  const chosen = { column: null, descending: false, text: "", language: "" };

  const READERS = {
    text: (cell) => (cell.querySelector("a") ?? cell).textContent.trim().toLowerCase(),
    // What was never measured is a dash, and counts as none.
    number: (cell) => Number(cell.textContent.replaceAll(",", "")) || 0,
    time: (cell) => Date.parse(cell.querySelector("time")?.dateTime ?? "") || -Infinity,
  };

  function sort(table) {
    const header = table.tHead.rows[0].cells[chosen.column];
    const read = READERS[header.dataset.sort];
    const direction = chosen.descending ? -1 : 1;
    const rows = [...table.tBodies[0].rows].map((row) => [read(row.cells[chosen.column]), row]);
    rows.sort(([a], [b]) => (a < b ? -direction : a > b ? direction : 0));
    table.tBodies[0].append(...rows.map(([, row]) => row));
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", chosen.descending ? "descending" : "ascending");
  }

  function filter(table) {
    const rows = [...table.tBodies[0].rows];
    const text = chosen.text.trim().toLowerCase();
    let shown = 0;
    for (const row of rows) {
      const matches = READERS.text(row.cells[0]).includes(text)
        && (!chosen.language || row.cells[1].textContent.trim() === chosen.language);
      row.hidden = !matches;
      shown += matches;
    }
    document.getElementById("none-shown").hidden = shown > 0;
    const filtered = text || chosen.language;
    document.getElementById("shown").textContent = filtered ? `${shown} of ${rows.length}` : "";
  }

  function addButton(table, header) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    button.addEventListener("click", () => {
      const again = header.hasAttribute("aria-sort");
      const descending = header.getAttribute("aria-sort") === "descending";
      chosen.column = header.cellIndex;
      chosen.descending = again ? !descending : header.dataset.sort !== "text";
      sort(table);
    });
    header.append(button);
  }

  function setUp() {
    const table = document.getElementById("projects");
    if (!table) return;
    const text = document.getElementById("filter-text");
    const language = document.getElementById("filter-language");
    for (const header of table.querySelectorAll("th[data-sort]")) addButton(table, header);
    text.value = chosen.text;
    language.value = chosen.language;
    chosen.language = language.value;  // a language that is gone selects nothing
    text.addEventListener("input", () => { chosen.text = text.value; filter(table); });
    language.addEventListener("change", () => { chosen.language = language.value; filter(table); });
    document.getElementById("filters").hidden = false;
    if (chosen.column !== null) sort(table);
    filter(table);
  }

  setUp();
  document.addEventListener("page:renewed", setUp);
})();
