// The form of a hostname: one more row for a server. Without scripts there are some blank ones.
(function () {
  "use strict";
  var button = document.querySelector("[data-adds-row]");
  var rows = document.querySelector("[data-rows]");
  if (!button || !rows) return;
  var most = 16;
  button.hidden = false;
  button.addEventListener("click", function () {
    var number = rows.children.length + 2;
    var row = rows.lastElementChild.cloneNode(true);
    row.setAttribute("aria-label", row.getAttribute("aria-label").replace(/\d+$/, number));
    row.querySelectorAll("[id]").forEach(function (field) { field.id = field.id.replace(/\d+$/, number); });
    row.querySelectorAll("label").forEach(function (label) { label.htmlFor = label.htmlFor.replace(/\d+$/, number); label.textContent = label.textContent.replace(/\d+$/, number); });
    row.querySelectorAll("select").forEach(function (field) { field.selectedIndex = 0; });
    row.querySelectorAll("input").forEach(function (field) { field.value = "1"; });
    rows.append(row);
    button.hidden = number >= most;
    row.querySelector("select").focus();
  });
})();
