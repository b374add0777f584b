// A file dropped on the import page becomes the file of the form. Without this the file field does the same.
(function () {
  "use strict";
  var form = document.querySelector("form[data-drop]");
  if (!form) return;
  var zone = form.querySelector(".drop-zone");
  var field = form.querySelector("input[type=file]");

  function mark(on) { zone.classList.toggle("drop-over", on); }

  // On the whole page: a file that misses the zone must not make the browser leave the page.
  ["dragenter", "dragover"].forEach(function (name) {
    document.addEventListener(name, function (event) {
      if (!event.dataTransfer || !Array.from(event.dataTransfer.types).includes("Files")) return;
      event.preventDefault();
      mark(true);
    });
  });
  document.addEventListener("dragleave", function (event) { if (!event.relatedTarget) mark(false); });
  document.addEventListener("drop", function (event) {
    if (!event.dataTransfer || !event.dataTransfer.files.length) return;
    event.preventDefault();
    mark(false);
    field.files = event.dataTransfer.files;
    field.dispatchEvent(new Event("change", { bubbles: true }));
    field.focus();
  });
})();
