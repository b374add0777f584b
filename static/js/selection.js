// Selecting rows of a list. The selection lives as long as the tab and its filter: paging and sorting keep it, another
// search or filter ends it. Without this script the boxes of one page and "all that match" work as a plain form.
(function () {
  "use strict";
  var KEY = "selection:" + location.pathname;
  var chosen = { query: "", all: false, ids: [] };
  var anchor = null;

  function bar() { return document.getElementById("selection"); }
  function boxes() { return Array.from(document.querySelectorAll('[data-rows] input[name="server"]')); }
  function pageBox() { return document.querySelector("[data-tick-page]"); }

  function keep() { sessionStorage.setItem(KEY, JSON.stringify(chosen)); }

  function recall() {
    try {
      chosen = JSON.parse(sessionStorage.getItem(KEY)) || chosen;
    } catch (broken) {
      sessionStorage.removeItem(KEY);
    }
  }

  function none() {
    chosen = { query: bar().dataset.query, all: false, ids: [] };
    anchor = null;
  }

  function set(box, on) {
    if (chosen.all) { // one row less than all: what is ticked on this page
      chosen.all = false;
      chosen.ids = boxes().map(function (each) { return each.value; });
    }
    chosen.ids = chosen.ids.filter(function (id) { return id !== box.value; });
    if (on) chosen.ids.push(box.value);
  }

  function show() {
    var place = bar(), total = Number(place.dataset.total);
    var count = chosen.all ? total : chosen.ids.length;
    var onPage = boxes(), ticked = 0;
    onPage.forEach(function (box) {
      box.checked = chosen.all || chosen.ids.includes(box.value);
      ticked += box.checked;
    });
    var page = pageBox();
    if (page) {
      page.checked = ticked > 0 && ticked === onPage.length;
      page.indeterminate = ticked > 0 && ticked < onPage.length;
    }
    place.classList.toggle("open", count > 0);
    place.elements.servers.value = chosen.ids.join(",");
    place.querySelector('[name="which"][value="' + (chosen.all ? "all" : "ticked") + '"]').checked = true;
    place.querySelector("[data-selected]").textContent = chosen.all ? "All " + total + " selected" : count + " selected";
    place.querySelector("[data-of]").textContent = chosen.all ? "" : "of " + total + " " + place.dataset.narrowed;
    var all = place.querySelector("[data-select-all]");
    all.textContent = "Select all " + total;
    all.hidden = chosen.all || total === count;
  }

  function arrive() {
    if (!bar()) return;
    if (chosen.query !== bar().dataset.query) none();
    keep();
    show();
  }

  function range(box) {
    var all = boxes(), from = all.indexOf(anchor), to = all.indexOf(box);
    return from < 0 ? [box] : all.slice(Math.min(from, to), Math.max(from, to) + 1);
  }

  document.addEventListener("click", function (event) {
    var target = event.target;
    if (!bar()) return;
    if (target.matches('[data-rows] input[name="server"]')) {
      var on = target.checked;
      (event.shiftKey ? range(target) : [target]).forEach(function (box) { set(box, on); });
      anchor = target;
    } else if (target.matches("[data-tick-page]")) {
      var every = target.checked;
      boxes().forEach(function (box) { set(box, every); });
    } else if (target.closest("[data-select-all]")) {
      chosen.all = true;
      chosen.ids = [];
    } else if (target.closest("[data-select-none]")) {
      none();
    } else return;
    keep();
    show();
  });

  document.addEventListener("keydown", function (event) {
    var busy = document.querySelector("dialog[open], .dropdown-menu.show") || event.target.matches("input:not([type=checkbox]), select, textarea");
    if (event.key !== "Escape" || busy || !bar()) return;
    none();
    keep();
    show();
  });

  recall();
  arrive();
  window.addEventListener("pageshow", arrive);
  document.addEventListener("htmx:load", arrive);
})();
