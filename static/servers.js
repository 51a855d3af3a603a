// The server form shows only what fits: what belongs to a box that is not ticked is hidden and not sent.
(function () {
  "use strict";
  document.querySelectorAll("[data-when]").forEach(function (part) {
    var box = document.getElementById(part.dataset.when);
    if (!box) return;
    function fit() {
      part.hidden = !box.checked;
      part.querySelectorAll("input, select, textarea").forEach(function (field) { field.disabled = !box.checked; });
    }
    box.addEventListener("change", fit);
    fit();
  });
})();
