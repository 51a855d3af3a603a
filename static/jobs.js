// Jobs as they go: shows what the server tells of each element with data-job-stream. Pages are complete without it.
(function () {
  "use strict";
  if (window.gestionJobs) return; // several parts of a page may bring this file
  window.gestionJobs = true;
  var COME_BACK = 3000; // milliseconds
  var followed = []; // [part of the page, its stream]

  function put(root, name, act) {
    root.querySelectorAll("[data-job-" + name + "]").forEach(act);
  }

  function badge(state) {
    var span = document.createElement("span");
    span.className = "state state-" + state.colour;
    span.textContent = state.label;
    return span;
  }

  function showState(root, state) {
    put(root, "state", function (place) {
      if (place.textContent.trim() !== state.label) place.replaceChildren(badge(state));
    });
    put(root, "step", function (place) {
      if (place.textContent !== state.step) place.textContent = state.step;
    });
    put(root, "error", function (place) {
      place.textContent = state.error;
      place.hidden = !state.error;
    });
    put(root, "progress", function (bar) {
      bar.hidden = state.ended || state.state === "waiting";
      if (state.percent === null) bar.removeAttribute("value");
      else bar.value = state.percent;
    });
    put(root, "steps", function (list) {
      list.replaceChildren.apply(list, state.steps.map(function (step) {
        var item = document.createElement("li");
        var name = document.createElement("span");
        name.textContent = step.name;
        item.append(name, badge(step));
        return item;
      }));
    });
    put(root, "steps-card", function (card) { card.hidden = !state.steps.length; });
  }

  function showLines(root, lines) {
    var most = Number(root.dataset.most);
    put(root, "lines", function (log) {
      var atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
      lines.forEach(function (line) {
        var row = document.createElement("div");
        var time = document.createElement("time");
        var text = document.createElement("span");
        row.className = "log-" + line.stream;
        time.dateTime = line.at;
        time.textContent = line.clock;
        text.textContent = line.text;
        row.append(time, text);
        log.append(row);
      });
      while (log.children.length > most) log.firstElementChild.remove();
      if (atEnd) log.scrollTop = log.scrollHeight;
    });
  }

  // The page's part is fetched and put in: a reload would stop a way to another page that somebody has just begun.
  function refresh() {
    var typed = Array.prototype.some.call(
      document.querySelectorAll("main input:not([type=hidden]), main textarea"),
      function (field) { return field.value !== field.defaultValue; });
    if (!typed && window.htmx) window.htmx.ajax("GET", location.href, { target: "#main", select: "#main", swap: "outerHTML" });
  }

  function watch(root) {
    if (root.dataset.watched) return;
    root.dataset.watched = "yes";
    put(root, "lines", function (log) { log.scrollTop = log.scrollHeight; });
    if ("ended" in root.dataset || !window.EventSource) return;
    follow(root);
  }

  function follow(root) {
    if (!root.isConnected) return;
    var source = new EventSource(root.dataset.jobStream + "?after=" + root.dataset.after);
    followed.push([root, source]);
    source.addEventListener("lines", function (event) {
      root.dataset.after = event.lastEventId || root.dataset.after;
      showLines(root, JSON.parse(event.data));
    });
    source.addEventListener("state", function (event) { showState(root, JSON.parse(event.data)); });
    source.addEventListener("end", function () {
      source.close();
      root.dispatchEvent(new CustomEvent("job:end", { bubbles: true }));
      if ("refresh" in root.dataset) refresh();
    });
    // A browser comes back by itself when the connection is lost, but not when it is refused: by a proxy, say, while the panel starts.
    source.addEventListener("error", function () {
      if (source.readyState === EventSource.CLOSED) setTimeout(follow, COME_BACK, root);
    });
  }

  // A browser has few connections to one server, and a stream holds one of them.
  function closeLeft() {
    followed = followed.filter(function (one) {
      if (!one[0].isConnected) one[1].close();
      return one[0].isConnected && one[1].readyState !== EventSource.CLOSED;
    });
  }

  function watchAll() {
    closeLeft();
    document.querySelectorAll("[data-job-stream]").forEach(watch);
  }
  document.addEventListener("htmx:afterSettle", watchAll);
  watchAll();
})();
