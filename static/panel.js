// What scripts add to pages that work without them: copying, narrowing lists, closing menus, clicks that are not lost.
(function () {
  "use strict";
  document.documentElement.classList.add("scripts");

  function unhide(root) {
    root.querySelectorAll("[data-copies]").forEach(function (button) { button.hidden = !navigator.clipboard; });
    root.querySelectorAll("[data-narrows]").forEach(function (field) {
      var list = document.getElementById(field.dataset.narrows);
      field.hidden = !list || list.children.length < 8;
    });
  }

  document.addEventListener("click", function (event) {
    var button = event.target.closest("[data-copies]");
    if (button) {
      var words = button.querySelector("span");
      var before = words.textContent;
      navigator.clipboard.writeText(document.getElementById(button.dataset.copies).value).then(function () {
        words.textContent = button.dataset.copied;
        setTimeout(function () { words.textContent = before; }, 1500);
      });
    }
    document.querySelectorAll("details.menu[open]").forEach(function (menu) {
      if (!menu.contains(event.target)) menu.open = false;
    });
    if (!event.target.closest(".find")) document.querySelectorAll(".find-hits").forEach(function (hits) { hits.replaceChildren(); });
  });

  document.addEventListener("keydown", function (event) {
    if (event.key === "/" && !event.target.closest("input, textarea, select, [contenteditable]")) {
      var find = document.getElementById("find");
      if (find && find.offsetParent) { event.preventDefault(); find.focus(); }
    }
    if (event.key !== "Escape") return;
    document.querySelectorAll("details.menu[open]").forEach(function (menu) {
      menu.open = false;
      menu.querySelector("summary").focus();
    });
    document.querySelectorAll(".find-hits").forEach(function (hits) { hits.replaceChildren(); });
  });

  document.addEventListener("input", function (event) {
    var field = event.target.closest("[data-narrows]");
    if (!field) return;
    var wanted = field.value.trim().toLowerCase();
    document.querySelectorAll("#" + CSS.escape(field.dataset.narrows) + " > .form-check").forEach(function (row) {
      row.hidden = wanted !== "" && !row.textContent.toLowerCase().includes(wanted);
    });
  });

  document.addEventListener("keydown", function (event) {
    if (event.key === "Enter" && event.target.closest("[data-narrows]")) event.preventDefault();
  });

  // A click is a press and a release on one element. A part of the page that comes anew in between would take it away,
  // so it waits for the release, and is then asked for again.
  var pressed = null;
  var waiting = new Map();

  function release() {
    if (!pressed) return;
    setTimeout(function () { // the click itself comes behind the release
      pressed = null;
      waiting.forEach(function (again, part) { if (part.isConnected) again(); });
      waiting.clear();
    });
  }

  document.addEventListener("pointerdown", function (event) { pressed = event.target; }, true);
  document.addEventListener("pointerup", release, true);
  document.addEventListener("pointercancel", release, true);
  document.addEventListener("pointermove", function (event) { if (!event.buttons) release(); }, true); // let go outside

  document.addEventListener("htmx:beforeSwap", function (event) {
    var swap = event.detail;
    if (!pressed || !swap.shouldSwap || swap.requestConfig.verb !== "get" || !swap.target.contains(pressed)) return;
    swap.shouldSwap = false;
    waiting.set(swap.target, function () {
      window.htmx.ajax("GET", swap.requestConfig.path, {
        source: swap.requestConfig.elt, target: swap.target, select: swap.select, swap: swap.swapOverride
      });
    });
  });

  document.addEventListener("htmx:afterSettle", function (event) { unhide(event.target); });
  unhide(document);
  var errors = document.getElementById("form-errors");
  if (errors) errors.focus();
})();
