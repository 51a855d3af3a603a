// What scripts add to pages that work without them: copying, narrowing lists, closing menus.
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

  document.addEventListener("htmx:afterSettle", function (event) { unhide(event.target); });
  unhide(document);
  var errors = document.getElementById("form-errors");
  if (errors) errors.focus();
})();
