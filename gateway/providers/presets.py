"""The presets, read from `data/presets/*.toml`, and the rules that follow from them."""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gateway.providers.preset import Dkim, Dns, Hint, Limits, Preset, ReturnPath

_DATA = Path(__file__).parent / "data" / "presets"
IMPLICIT = frozenset({443, 465, 2465, 8465})
STARTTLS_ONLY = frozenset({587, 2587})


@dataclass(frozen=True)
class Problem:
    """A remark on a field of a smarthost. blocking: it cannot work; otherwise a warning a person should see."""

    field: str  # host | port | tls
    text: str
    blocking: bool = True


@cache
def all() -> tuple[Preset, ...]:  # noqa: A001 - read as `presets.all()`
    """Every preset in the order people see them."""
    read = (_preset(tomllib.loads(path.read_text("utf-8"))) for path in _DATA.glob("*.toml"))
    return tuple(sorted(read, key=lambda preset: (preset.order, preset.slug)))


def get(slug: str) -> Preset:
    """Raises KeyError when there is no such preset."""
    return {preset.slug: preset for preset in all()}[slug]


def slugs() -> tuple[str, ...]:
    return tuple(preset.slug for preset in all())


def for_host(host: str) -> Preset | None:
    """The preset whose server this is, by exact host name."""
    wanted = host.rstrip(".").lower()
    return next((preset for preset in all() if wanted in preset.hosts()), None)


def tls_for_port(port: int) -> str:
    """The mode a port implies: "implicit" (TLS from the first byte) or "starttls"."""
    return "implicit" if port in IMPLICIT else "starttls"


def accepted(preset: Preset, host: str, port: int, tls: str) -> tuple[Problem, ...]:
    """What is wrong, or worth a warning, with this endpoint for this preset; empty when it fits."""
    found = [_port_problem(preset, port), _tls_problem(preset, port, tls), _host_problem(preset, host)]
    return tuple(problem for problem in found if problem)


def rewrite_rule(preset: Preset, username: str, sending_domain: str) -> str:
    """What local senders (root@host, www-data@host) are rewritten to: "" nothing, "@domain", or one full address."""
    to_login = preset.rewrite_to == "login" or preset.from_policy == "must_equal_login"
    if to_login and "@" in username.strip("@"):
        return username
    return f"@{sending_domain}" if sending_domain else ""


def _port_problem(preset: Preset, port: int) -> Problem | None:
    if port in preset.wrong_ports:
        return Problem("port", preset.wrong_ports[port])
    known = [str(number) for number, _ in preset.ports]
    if preset.any_port or str(port) in known:
        return None
    listed = ", ".join(known[:-1]) + " and " + known[-1] if len(known) > 1 else known[0]
    return Problem("port", f"{preset.label} is known to answer on port {listed}, not on {port}.", blocking=False)


def _tls_problem(preset: Preset, port: int, tls: str) -> Problem | None:
    if not preset.tls_possible:
        if tls == "none":
            text = f"{preset.label} offers no encryption: mail travels to it in the clear."
            return Problem("tls", text, blocking=False)
        return Problem("tls", f"{preset.label} offers no encryption: choose none.")
    if port in IMPLICIT and tls != "implicit":
        return Problem("tls", f"Port {port} expects TLS from the first byte (implicit TLS).")
    if port in STARTTLS_ONLY and tls == "implicit":
        return Problem("tls", f"Port {port} begins in the clear and turns encryption on with STARTTLS.")
    modes = {mode for number, mode in preset.ports if number == port}
    if tls == "none":
        return Problem("tls", "Without encryption the password and every message can be read on the way.", False)
    if modes and tls not in modes and not preset.any_port:
        return Problem("tls", f"On port {port} {preset.label} expects {_WORDS[next(iter(modes))]}.")
    return None


def _host_problem(preset: Preset, host: str) -> Problem | None:
    if preset.host_like and host and not preset.host_like.search(host.rstrip(".").lower()):
        return Problem(
            "host", f"This does not look like a server of {preset.label}. {preset.host_hint}", blocking=False
        )
    if not preset.host or host.rstrip(".").lower() in preset.hosts():
        return None
    name = preset.host.replace("{region}", "<region>")
    return Problem("host", f"The SMTP server of {preset.label} is {name}.", blocking=False)


_WORDS = {"starttls": "STARTTLS", "implicit": "TLS from the first byte (implicit TLS)", "none": "no encryption"}


def _preset(raw: dict) -> Preset:
    raw["ports"] = tuple((port, tls) for port, tls in raw["ports"])
    raw["limits"] = Limits(**raw.get("limits", {}))
    raw["host_like"] = re.compile(raw["host_like"]) if "host_like" in raw else None
    raw["dns"] = _dns(raw["dns"]) if "dns" in raw else None
    raw["mx"], raw["domains"] = tuple(raw.get("mx", ())), tuple(raw.get("domains", ()))
    raw["wrong_ports"] = {int(port): text for port, text in raw.get("wrong_ports", {}).items()}
    raw["hints"] = tuple(_hint(hint) for hint in raw.get("hints", ()))
    return Preset(**raw)


def _dns(raw: dict) -> Dns:
    raw["dkim"] = tuple(Dkim(*one) for one in raw.get("dkim", ()))
    raw["return_path"] = ReturnPath(**raw["return_path"]) if "return_path" in raw else None
    return Dns(**raw)


def _hint(raw: dict) -> Hint:
    for key in ("when", "unless"):
        if key in raw:
            raw[key] = re.compile(raw[key], re.ASCII)
    return Hint(**raw)
