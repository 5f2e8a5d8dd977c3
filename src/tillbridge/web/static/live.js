// Follows what a connection does: told of each move by a stream of events, the page asks for its part anew. Where
// there is no stream (too many pages look on, a proxy in between), it asks every few seconds instead.
(() => {
  const box = document.querySelector("[data-live]");
  if (!box) return;
  const POLL_SECONDS = 5;
  let source = null;
  let timer = null;

  const look = () => window.htmx.trigger(box, "look");
  const say = (words) => document.querySelectorAll("[data-live-state]").forEach((each) => {
    if (each.textContent !== words) each.textContent = words;
  });
  const poll = () => {
    if (timer !== null) return;
    say(`looks every ${POLL_SECONDS} s`);
    timer = setInterval(look, POLL_SECONDS * 1000);
  };
  const rest = () => {
    source?.close();
    source = null;
    clearInterval(timer);
    timer = null;
  };
  const follow = () => {
    if (source || timer) return;
    if (!window.EventSource) { poll(); return; }
    source = new EventSource(box.dataset.live);
    source.addEventListener("open", () => say("live"));
    source.addEventListener("work", look);
    source.addEventListener("error", () => {
      say("connecting …");
      if (source?.readyState === EventSource.CLOSED) { source = null; poll(); }
    });
  };
  // A browser has few connections to one address: a page that nobody sees keeps none of them.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) rest();
    else { look(); follow(); }
  });
  window.addEventListener("pagehide", rest);

  // --- ages grow while nothing else happens; by the server's clock, which the part brings along ---
  const spoken = /^(in )?[\d.]+ (s|min|h|d)( ago)?$/;
  const span = (value) => {
    if (value < 120) return `${Math.round(value)} s`;
    if (value < 7200) return `${Math.round(value / 60)} min`;
    return value < 172800 ? `${Math.round(value / 3600)} h` : `${Math.round(value / 86400)} d`;
  };
  let ahead = 0;
  const compare = () => {
    const now = box.querySelector("[data-now]")?.dataset.now;
    if (now) ahead = Date.parse(now) - Date.now();
  };
  const age = () => box.querySelectorAll("time[datetime]").forEach((each) => {
    if (!spoken.test(each.textContent)) return;
    const seconds = (Date.now() + ahead - Date.parse(each.dateTime)) / 1000;
    const words = seconds >= 0 ? `${span(seconds)} ago` : `in ${span(-seconds)}`;
    if (words !== each.textContent) each.textContent = words;
  });
  document.addEventListener("htmx:after:swap", compare);
  compare();
  setInterval(age, 1000);

  if (!document.hidden) follow();
})();
