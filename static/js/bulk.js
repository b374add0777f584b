// The page before a bulk action: counts again when a choice changes, tells times in the viewer's own zone, sends once.
(function () {
  "use strict";
  var form = document.querySelector("[data-bulk]");

  form.addEventListener("change", function (event) {
    var how = event.target.name.startsWith("how-");
    if (!how && event.target.matches("select, [type=checkbox], [type=radio]")) window.htmx.trigger(form, "recount");
  });

  var sent = false;
  form.addEventListener("submit", function (event) {
    if (sent) event.preventDefault();
    sent = true;
  });
  window.addEventListener("pageshow", function () { sent = false; });

  form.querySelectorAll("[data-utc]").forEach(function (input) {
    var told = document.createElement("div");
    told.className = "form-hint";
    told.setAttribute("role", "status");
    input.after(told);
    function tell() {
      var time = new Date(input.value + "Z");
      var zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
      told.textContent = isNaN(time) || zone === "UTC" ? "" : time.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" }) + " in " + zone;
    }
    input.addEventListener("input", tell);
    tell();
  });
})();
