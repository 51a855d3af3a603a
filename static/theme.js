// Before the page is drawn: where no colours were chosen (a cookie, known to the server), the system's.
(function () {
  "use strict";
  var root = document.documentElement;
  if (root.hasAttribute("data-bs-theme")) return;
  var system = window.matchMedia("(prefers-color-scheme: dark)");
  function follow() { root.setAttribute("data-bs-theme", system.matches ? "dark" : "light"); }
  follow();
  system.addEventListener("change", follow);
})();
