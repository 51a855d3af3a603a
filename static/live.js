// Asks again for each element with data-live, every so many seconds, while the page can be seen.
(function () {
  "use strict";
  var waited = new WeakMap();
  var hurry = 0; // seconds for which every part asks each second: something was done, and is seen soon

  function busy(part) {
    var active = document.activeElement;
    var typing = active && part.contains(active) && active.matches("input, select, textarea");
    return typing || part.querySelector("details.menu[open]") || part.classList.contains("htmx-request");
  }

  document.addEventListener("job:end", function () { hurry = 6; });

  setInterval(function () {
    if (document.visibilityState !== "visible" || !window.htmx) return;
    document.querySelectorAll("[data-live]").forEach(function (part) {
      var seconds = (waited.get(part) || 0) + 1;
      if ((hurry > 0 || seconds >= Number(part.dataset.live)) && !busy(part)) {
        seconds = 0;
        window.htmx.trigger(part, "live");
      }
      waited.set(part, seconds);
    });
    hurry -= 1;
  }, 1000);
})();
