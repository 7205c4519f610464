// Ctrl-K: every page (read from the navigation), every action of this page, and what the server finds for the words.
(() => {
  const dialog = document.getElementById("palette");
  if (!dialog) return;
  const field = dialog.querySelector("input");
  const list = dialog.querySelector("[role=listbox]");
  const none = dialog.querySelector(".palette-none");
  const words = dialog.dataset;
  let entries = [];
  let shown = [];
  let chosen = 0;
  let asked = 0;

  const fromPage = () => [...document.querySelectorAll("[data-palette]")].map((element) => ({
    title: element.dataset.palette || element.textContent.trim(),
    kind: "go" in element.dataset ? words.page : words.action,
    hint: element.dataset.go ? `g ${element.dataset.go}` : "",
    run: () => element.click(),
  }));

  // Letters in order; runs of letters and starts of words count more. Returns the positions, for marking them.
  function match(title, query) {
    const text = title.toLowerCase();
    const at = text.indexOf(query);
    if (at >= 0) return { score: 100 - at - text.length / 100, positions: [...query].map((_, i) => at + i) };
    const positions = [];
    let score = 0;
    for (const letter of query) {
      const found = text.indexOf(letter, (positions.at(-1) ?? -1) + 1);
      if (found < 0) return null;
      score += found === positions.at(-1) + 1 ? 3 : /[\s/_-]/.test(text[found - 1] ?? " ") ? 2 : 0;
      positions.push(found);
    }
    return { score, positions };
  }

  function marked(title, positions) {
    const fragment = document.createDocumentFragment();
    [...title].forEach((letter, i) => {
      if (!positions.includes(i)) { fragment.append(letter); return; }
      const mark = document.createElement("mark");
      mark.textContent = letter;
      fragment.append(mark);
    });
    return fragment;
  }

  function option(entry, i) {
    const element = document.createElement("div");
    element.id = `palette-${i}`;
    element.setAttribute("role", "option");
    element.setAttribute("aria-selected", String(i === chosen));
    for (const part of ["kind", "title", "hint"]) {
      const span = document.createElement("span");
      span.className = part === "title" ? "clip" : part;
      if (part === "title") span.append(marked(entry.title, entry.positions)); else span.textContent = entry[part] ?? "";
      element.append(span);
    }
    element.addEventListener("click", () => open(entry));
    return element;
  }

  function draw() {
    const query = field.value.trim().toLowerCase();
    shown = entries
      .map((entry) => ({ ...entry, ...(query ? match(entry.title, query) ?? (entry.found ? { score: -1, positions: [] } : {}) : { score: 0, positions: [] }) }))
      .filter((entry) => entry.positions)
      .sort((a, b) => b.score - a.score)
      .slice(0, 30);
    chosen = Math.min(chosen, Math.max(0, shown.length - 1));
    list.replaceChildren(...shown.map(option));
    none.hidden = shown.length > 0;
    field.setAttribute("aria-activedescendant", shown.length ? `palette-${chosen}` : "");
    list.children[chosen]?.scrollIntoView({ block: "nearest" });
  }

  async function ask() {
    const turn = ++asked;
    const query = field.value.trim();
    try {
      const answer = await fetch(`${words.url}?q=${encodeURIComponent(query)}`, { headers: { Accept: "application/json" } });
      const found = answer.ok ? (await answer.json()).entries : [];
      if (turn !== asked) return;
      entries = [...fromPage(), ...found.map((entry) => ({ ...entry, found: true, run: () => location.assign(entry.url) }))];
      draw();
    } catch { /* the pages of the navigation are still there */ }
  }

  function open(entry) {
    dialog.close();
    entry.run();
  }

  let wait;
  field.addEventListener("input", () => { chosen = 0; draw(); clearTimeout(wait); wait = setTimeout(ask, 120); });
  field.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && shown.length) { event.preventDefault(); chosen = (chosen + step + shown.length) % shown.length; draw(); }
    if (event.key === "Enter" && shown[chosen]) { event.preventDefault(); open(shown[chosen]); }
  });

  window.autoforge.openPalette = () => {
    if (dialog.open) { dialog.close(); return; }
    field.value = "";
    chosen = 0;
    entries = fromPage();
    draw();
    dialog.showModal();
    ask();
  };
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-open-palette]") || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    window.autoforge.openPalette();
  });
})();
