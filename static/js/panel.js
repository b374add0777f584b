// What every page shares. Nothing here is needed to use the panel; it makes it quicker.
(function () {
  "use strict";
  var pendingGo = 0;

  function typing(target) {
    return target.closest && target.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]");
  }

  function help() {
    var dialog = document.getElementById("keys");
    if (dialog && !dialog.open) dialog.showModal();
  }

  // Rows: [data-rows] holds elements of which each has a first link; j and k walk them, x ticks the row's box.
  function rows() { return Array.from(document.querySelectorAll("[data-rows] > tr")); }

  function step(by) {
    var all = rows();
    var at = all.findIndex(function (row) { return row.contains(document.activeElement); });
    var row = all[Math.min(Math.max(at + by, 0), all.length - 1)];
    var link = row && (row.querySelector("a[data-row-link]") || row.querySelector("a"));
    if (link) { link.focus(); row.scrollIntoView({ block: "nearest" }); }
  }

  function tick() {
    var row = document.activeElement.closest("[data-rows] > tr");
    var box = row && row.querySelector("input[type=checkbox]");
    if (box) box.click();
  }

  function go(key) {
    var link = document.querySelector('a[data-go="' + CSS.escape(key) + '"]');
    if (link) link.click();
  }

  var keys = {
    "/": function () { var box = document.querySelector("[data-search]"); if (box) { box.focus(); box.select(); } },
    "?": help,
    j: function () { step(1); },
    k: function () { step(-1); },
    x: tick,
    g: function () { pendingGo = Date.now(); },
  };

  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || document.querySelector("dialog[open]")) return;
    if (Date.now() - pendingGo < 1500) {
      pendingGo = 0;
      event.preventDefault();
      return go(event.key);
    }
    if (keys[event.key]) {
      event.preventDefault();
      keys[event.key]();
    }
  });

  async function copy(button) {
    var source = document.querySelector(button.dataset.copy);
    var text = source.value === undefined ? source.textContent : source.value;
    try {
      await navigator.clipboard.writeText(text);
    } catch (refused) { // plain http on another host: no clipboard API, so leave the text selected for Ctrl-C
      window.getSelection().selectAllChildren(source);
      return;
    }
    var label = button.querySelector("span") || button;
    var before = label.textContent;
    label.textContent = "Copied";
    setTimeout(function () { label.textContent = before; }, 1500);
  }

  document.addEventListener("click", function (event) {
    var button = event.target.closest("[data-copy]");
    if (button) copy(button);
    if (event.target.closest("[data-help]")) help();
  });

  // The server writes times in UTC; on hover they read in the viewer's own zone.
  function localTimes(root) {
    root.querySelectorAll("time[datetime]").forEach(function (time) {
      time.title = new Date(time.dateTime).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "long" });
    });
  }

  localTimes(document);
  document.addEventListener("htmx:load", function (event) { localTimes(event.target); });

  // A hidden tab asks one time in ten; text somebody is selecting stays for fifteen times, and the next look is all new.
  var skipped = 0, held = 0;
  document.addEventListener("htmx:beforeRequest", function (event) {
    if (!/\bevery\b/.test(event.target.getAttribute("hx-trigger") || "")) return;
    held = window.getSelection().isCollapsed ? 0 : held + 1;
    if ((document.hidden && ++skipped % 10) || held % 16) event.preventDefault();
  });
})();
