// Lists to be worked off: all that a search has found, and decisions by one key each.
(() => {
  // --- ticks ----------------------------------------------------------------------------------
  // Beyond the page: offered once all of it is ticked.
  const offer = () => {
    const line = document.querySelector("[data-all-found]");
    if (!line) return;
    const boxes = [...line.closest("form").querySelectorAll("input[data-tick]")];
    const all = boxes.length > 0 && boxes.every((each) => each.checked);
    const every = line.querySelector("[data-everybody]");
    if (!all && every) every.checked = false;
    line.hidden = !all;
  };

  // Boxes that stand in cards belong to a form of their own by their `form` attribute.
  const many = () => {
    const form = document.querySelector('form[data-ticks="many"]');
    if (!form) return;
    const boxes = [...document.querySelectorAll(`input[data-tick][form="${form.id}"]`)];
    const on = boxes.filter((each) => each.checked).length;
    const all = form.querySelector("[data-tick-all]");
    all.checked = on > 0 && on === boxes.length;
    all.indeterminate = on > 0 && on < boxes.length;
    form.querySelectorAll("[data-tick-count]").forEach((each) => { each.textContent = on ? `${on} selected` : "None selected"; });
    form.querySelectorAll("[data-tick-needs]").forEach((each) => { each.disabled = on === 0; });
  };
  document.addEventListener("change", (event) => {
    const form = document.querySelector('form[data-ticks="many"]');
    if (form && form.contains(event.target) && event.target.matches("[data-tick-all]"))
      document.querySelectorAll(`input[data-tick][form="${form.id}"]`).forEach((each) => { each.checked = event.target.checked; });
    // Behind the page's own script, which hears of it later and ticks the boxes within a form.
    setTimeout(() => { offer(); many(); });
  });

  // --- keys -----------------------------------------------------------------------------------
  const desk = () => document.querySelector("[data-desk]");
  const cards = () => [...document.querySelectorAll("[data-card]")];
  const waiting = () => cards().filter((each) => each.dataset.done === undefined);
  const current = () => document.activeElement?.closest?.("[data-card]");
  const go = (card) => { card?.focus({ preventScroll: true }); card?.scrollIntoView({ block: "nearest" }); };
  const step = (by) => {
    const all = cards();
    const at = all.indexOf(current());
    go(all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + by))]);
  };

  const on = () => {
    try { return localStorage.getItem("keys") !== "off"; } catch { return true; }
  };
  const box = document.querySelector("[data-keys-switch]");
  const dialog = document.getElementById("keys");
  if (box) {
    box.checked = on();
    box.addEventListener("change", () => {
      try { localStorage.setItem("keys", box.checked ? "on" : "off"); } catch { /* It holds for this page. */ }
      show();
    });
  }
  const show = () => document.documentElement.classList.toggle("no-keys", box ? !box.checked : !on());
  show();
  document.querySelector("[data-keys-help]")?.addEventListener("click", () => dialog.showModal());
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-skip]")) step(1);
  });

  document.addEventListener("keydown", (event) => {
    if (!desk() || !box?.checked || dialog?.open) return;
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const field = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (field && !field.matches("[type=checkbox], [type=radio]")) return;
    const key = event.key;
    if (key === "?") { event.preventDefault(); dialog.showModal(); }
    else if (key === "j" || key === "ArrowDown") { event.preventDefault(); step(1); }
    else if (key === "k" || key === "ArrowUp") { event.preventDefault(); step(-1); }
    else if (key === "s") { event.preventDefault(); step(1); }
    else if (/^[1-9]$/.test(key)) {
      const card = current();
      // Nothing is decided that nobody was led to: the first press leads there.
      if (!card) { event.preventDefault(); go(waiting()[0]); return; }
      const button = card.querySelector(`[data-key="${key}"]`);
      if (button && !button.disabled) { event.preventDefault(); button.click(); }
    }
  });

  // What is being decided cannot be decided twice, and whoever has decided goes on with the next one.
  document.addEventListener("htmx:before:request", (event) => {
    const card = event.target.closest?.("[data-card]");
    if (!card) return;
    card.setAttribute("aria-busy", "true");
    card.querySelectorAll("button").forEach((each) => { each.disabled = true; });
  });
  document.addEventListener("htmx:after:swap", () => {
    setTimeout(() => { offer(); many(); });
    document.querySelectorAll("[data-desk-over]").forEach((each) => { each.hidden = waiting().length > 0; });
    document.querySelectorAll("[data-desk-pager]").forEach((each) => { each.hidden = waiting().length === 0; });
    if (!desk() || current()) return;
    const all = cards();
    const done = all.filter((each) => each.dataset.done !== undefined && each.dataset.seen === undefined);
    if (!done.length) return;
    const last = done[done.length - 1];
    done.forEach((each) => { each.dataset.seen = ""; });
    go(waiting().find((each) => all.indexOf(each) > all.indexOf(last)) ?? last);
  });

  offer();
  many();
})();
