// Asks again for each element with data-live, every so many seconds, while the page can be seen.
(function () {
  "use strict";
  var waited = new WeakMap();

  function busy(part) {
    var active = document.activeElement;
    var typing = active && part.contains(active) && active.matches("input, select, textarea");
    return typing || part.querySelector("details.menu[open]") || part.classList.contains("htmx-request");
  }

  setInterval(function () {
    if (document.visibilityState !== "visible" || !window.htmx) return;
    document.querySelectorAll("[data-live]").forEach(function (part) {
      var seconds = (waited.get(part) || 0) + 1;
      if (seconds >= Number(part.dataset.live) && !busy(part)) {
        seconds = 0;
        window.htmx.trigger(part, "live");
      }
      waited.set(part, seconds);
    });
  }, 1000);
})();
