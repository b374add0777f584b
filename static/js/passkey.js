// Says in words why a passkey was not used; allauth's own script only writes to the console.
document.addEventListener("allauth.error", function (event) {
  event.preventDefault();
  var reasons = {
    NotAllowedError: "The passkey was not used: the request was cancelled or timed out.",
    InvalidStateError: "This passkey is already added.",
    SecurityError: "Passkeys need https, or the address localhost.",
    NotSupportedError: "This device offers no passkey of the kind asked for.",
  };
  var trouble = event.detail.exception || {};
  var place = document.querySelector("[data-passkey-trouble]");
  place.textContent = reasons[trouble.name] || "The passkey was not used: " + (trouble.message || trouble.name || "unknown reason") + ".";
  place.classList.add("d-block");
});
