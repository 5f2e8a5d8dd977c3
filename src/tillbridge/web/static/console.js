// What pages need beyond htmx: the session's token on every request, the menu, the colours, the reader's own
// time, ticks in lists, toasts. Pages work without it, one step slower.
(() => {
  const csrf = document.querySelector('meta[name="csrf"]')?.content;

  document.addEventListener("htmx:config:request", (event) => {
    const request = event.detail.ctx.request;
    if (csrf) request.headers["X-CSRF-Token"] = csrf;
  });

  // --- toasts: said to a screen reader as well ------------------------------------------------
  const toast = (words, tone = "") => {
    const box = document.getElementById("toasts");
    if (!box || !words) return;
    const line = document.createElement("div");
    line.className = `toast-line ${tone}`;
    line.textContent = words;
    box.append(line);
    setTimeout(() => line.remove(), 8000);
  };
  window.tillbridgeToast = toast;
  document.addEventListener("htmx:error", () => toast("The console did not answer. Is it still running?", "bad"));
  document.addEventListener("toast", (event) => toast(event.detail?.words ?? event.detail?.value, event.detail?.tone));

  // --- what is on its way is not sent once more: a second click of a double one, an impatient one -----
  const formOf = (element) => element?.closest?.("form");
  const rest = (form) => form?.removeAttribute("aria-busy");
  const once = (event, form) => {
    if (!form || form.method !== "post") return;
    if (form.hasAttribute("aria-busy")) {
      event.preventDefault();
      event.stopImmediatePropagation();
      return;
    }
    form.setAttribute("aria-busy", "true");
    // Another script may have kept it from being sent; what htmx sends is over when it says so.
    const asks = form.hasAttribute("hx-post") || event.type === "click";
    setTimeout(() => { if (event.defaultPrevented && !asks) rest(form); });
  };
  document.addEventListener("submit", (event) => once(event, event.target), true);
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button[hx-post]");
    if (button && !button.disabled) once(event, formOf(button));
  }, true);
  document.addEventListener("htmx:finally:request", (event) => rest(formOf(event.detail?.ctx?.sourceElement ?? event.target)));
  window.addEventListener("pageshow", () => document.querySelectorAll("form[aria-busy]").forEach(rest));

  // --- the menu on a phone --------------------------------------------------------------------
  const button = document.querySelector(".menu-button");
  button?.addEventListener("click", () => {
    const open = button.getAttribute("aria-expanded") !== "true";
    button.setAttribute("aria-expanded", String(open));
    document.getElementById("menu").classList.toggle("is-open", open);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && button?.getAttribute("aria-expanded") === "true") { button.click(); button.focus(); }
    // A slash leads to the search, as on many pages that people know.
    const typing = event.target.closest?.("input, textarea, select");
    if (event.key === "/" && !typing) {
      const search = document.querySelector('input[type="search"]');
      if (search) { event.preventDefault(); search.focus(); }
    }
  });

  // --- colours --------------------------------------------------------------------------------
  const themes = document.querySelectorAll("[data-theme]");
  const press = () => themes.forEach((each) =>
    each.setAttribute("aria-pressed", String(each.dataset.theme === window.tillbridgeTheme.chosen())));
  themes.forEach((each) => each.addEventListener("click", () => {
    window.tillbridgeTheme.choose(each.dataset.theme);
    press();
  }));
  press();

  document.querySelectorAll("[data-submits]").forEach((each) =>
    each.addEventListener("change", () => each.form.submit()));

  // --- tabs: on a phone the present one may be beyond the edge ----------------------------------
  document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

  // --- moments in the reader's own time -------------------------------------------------------
  const local = (root) => root.querySelectorAll("time[datetime]").forEach((each) => {
    const at = new Date(each.dateTime);
    if (Number.isNaN(at.getTime())) return;
    const full = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
    // A value of a record keeps the spelling of its system for whoever points at it.
    if (!each.dataset.raw) each.title = full;
    if (/UTC$/.test(each.textContent)) each.textContent = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
  });

  // --- ages grow in a page that is looked at for long; by the server's clock, which the line brings along ---
  const span = (value) => {
    if (value < 120) return `${Math.round(value)} s`;
    if (value < 7200) return `${Math.round(value / 60)} min`;
    return value < 172800 ? `${Math.round(value / 3600)} h` : `${Math.round(value / 86400)} d`;
  };
  const ageing = document.querySelector("[data-ages]");
  if (ageing) {
    const ahead = Date.parse(ageing.dataset.ages) - Date.now();
    setInterval(() => ageing.querySelectorAll("time[datetime]").forEach((each) => {
      const seconds = (Date.now() + ahead - Date.parse(each.dateTime)) / 1000;
      const until = each.dataset.until !== undefined;
      each.textContent = until ? (seconds < 0 ? `in ${span(-seconds)}` : "at once") : `${span(Math.max(0, seconds))} ago`;
    }), 1000);
  }

  // --- ticks: one box for all, a count, and buttons that wait for the first tick --------------
  const ticked = (form) => {
    const boxes = [...form.querySelectorAll("input[data-tick]")];
    const on = boxes.filter((each) => each.checked).length;
    const all = form.querySelector("input[data-tick-all]");
    if (all) {
      all.checked = on > 0 && on === boxes.length;
      all.indeterminate = on > 0 && on < boxes.length;
    }
    form.querySelectorAll("[data-tick-count]").forEach((each) => { each.textContent = on ? `${on} selected` : "None selected"; });
    form.querySelectorAll("[data-tick-needs]").forEach((each) => { each.disabled = on === 0; });
  };
  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-ticks]");
    if (!form) return;
    if (event.target.matches("input[data-tick-all]"))
      form.querySelectorAll("input[data-tick]").forEach((each) => { each.checked = event.target.checked; });
    ticked(form);
  });

  // --- charts: drawn from the table beside them, which stays for whoever reads -----------------
  const colours = () => {
    const style = getComputedStyle(document.documentElement);
    const named = (name) => style.getPropertyValue(name).trim();
    return { lines: ["--c-blue", "--c-sky", "--c-green", "--c-amber", "--c-red"].map(named), text: named("--c-quiet"), rule: named("--c-rule") };
  };
  const charts = new Map();
  const drawn = new Map();
  const draw = (canvas) => {
    if (!window.Chart) return;
    const table = document.getElementById(canvas.dataset.chart);
    if (!table) return;
    const picked = canvas.dataset.columns?.split(",").map(Number);
    const pick = (cells) => picked ? [cells[0], ...picked.map((n) => cells[n])] : cells;
    const heads = pick([...table.tHead.rows[0].cells].map((cell) => cell.textContent.trim()));
    const rows = [...table.tBodies[0].rows].map((row) => pick([...row.cells].map((cell) => cell.dataset.value ?? cell.textContent.trim())));
    const { lines, text, rule } = colours();
    // Drawn again only when it would look otherwise: a page that follows asks every second.
    const looks = JSON.stringify([heads, rows, lines]);
    if (drawn.get(canvas) === looks) return;
    drawn.set(canvas, looks);
    charts.get(canvas)?.destroy();
    const small = canvas.dataset.small !== undefined;
    const across = canvas.dataset.across !== undefined;
    // Beside bars that lie there is little room for names on a phone: the table below has them whole.
    const most = canvas.clientWidth < 480 ? 14 : 28;
    const named = function (value) {
      const label = String(this.getLabelForValue(value));
      return label.length > most ? `${label.slice(0, most - 1)}…` : label;
    };
    charts.set(canvas, new window.Chart(canvas, {
      type: canvas.dataset.kind || "bar",
      data: {
        labels: rows.map((row) => row[0]),
        datasets: heads.slice(1).map((label, n) => ({
          label, data: rows.map((row) => Number(row[n + 1])), backgroundColor: lines[n], borderColor: lines[n],
          borderWidth: canvas.dataset.kind === "line" ? 2 : 0, borderRadius: 2, pointRadius: rows.length > 60 ? 0 : 2, tension: 0.3,
        })),
      },
      options: {
        animation: false, responsive: true, maintainAspectRatio: false, indexAxis: across ? "y" : "x",
        interaction: { mode: "index", intersect: false },
        plugins: { legend: { display: !small && heads.length > 2, labels: { color: text, boxWidth: 12 } } },
        scales: {
          x: { stacked: canvas.dataset.stacked !== undefined, display: !small, beginAtZero: true, ticks: { color: text, maxRotation: 0, autoSkipPadding: 14 }, grid: { display: across, color: rule } },
          y: { stacked: canvas.dataset.stacked !== undefined, display: !small, beginAtZero: true, ticks: { color: text, autoSkip: !across, ...(across && { callback: named }) }, grid: { display: !across, color: rule } },
        },
      },
    }));
  };
  // Where the newest stands on the right, that is what is seen first.
  document.querySelectorAll("[data-ends-newest]").forEach((each) => { each.scrollLeft = each.scrollWidth; });

  const drawAll = (root = document) => root.querySelectorAll("canvas[data-chart]").forEach(draw);
  document.addEventListener("theme", () => drawAll());

  const fold = (root) => root.querySelectorAll("details[data-folds]:not([data-folded])").forEach((each) => {
    each.open = false;
    each.dataset.folded = "";
  });

  const ready = (root) => {
    local(root);
    fold(root);
    drawAll(root);
    root.querySelectorAll("form[data-ticks]").forEach(ticked);
  };
  document.addEventListener("htmx:after:swap", () => ready(document));
  ready(document);
})();
