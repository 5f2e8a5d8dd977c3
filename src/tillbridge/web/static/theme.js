// Light or dark, before anything is drawn: as the reader chose, else as their system is set. And that scripts run
// here: tables beside charts may fold.
(() => {
  document.documentElement.dataset.scripted = "";
  const system = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => {
    try { return localStorage.getItem("theme") || "auto"; } catch { return "auto"; }
  };
  const show = () => {
    const wanted = chosen();
    const dark = wanted === "dark" || (wanted === "auto" && system.matches);
    document.documentElement.dataset.bsTheme = dark ? "dark" : "light";
    document.dispatchEvent(new Event("theme"));
  };
  system.addEventListener("change", show);
  window.tillbridgeTheme = {
    chosen,
    choose(theme) {
      try { localStorage.setItem("theme", theme); } catch { /* It holds for this page. */ }
      show();
    },
  };
  show();
})();
