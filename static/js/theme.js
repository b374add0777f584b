// Loaded in <head>, before the first paint: turns "auto" into the attribute Bootstrap's few non-CSS-variable rules read.
(function () {
  var root = document.documentElement;
  if (!root.classList.contains("theme-auto")) return;
  var dark = window.matchMedia("(prefers-color-scheme: dark)");
  function apply() { root.setAttribute("data-bs-theme", dark.matches ? "dark" : "light"); }
  apply();
  dark.addEventListener("change", apply);
})();
