"""Looks up where a domain's mail lives, to find the SMTP settings of an e-mail address."""

from collections.abc import Iterable
from dataclasses import dataclass

import dns.exception
import dns.resolver

from gateway import overrides, validators
from gateway.providers import guessing
from gateway.providers.preset import Preset

LIFETIME = 4.0  # seconds for the whole look-up, every name server and try included
LISTED = 3


@dataclass(frozen=True)
class Guess:
    """state: found | none (nobody we know) | missing (no such domain) | unknown (DNS did not answer).

    mx: the first few mail servers. text: one sentence for a person. own_domain: the domain is not the provider's, so
    mail may be sent from it."""

    domain: str
    state: str
    text: str
    preset: Preset | None = None
    mx: tuple[str, ...] = ()
    own_domain: bool = False


def look_up(address: str, resolver: dns.resolver.Resolver | None = None) -> Guess:
    """One MX query, bounded in time. Raises ValidationError for what is neither an address nor a domain."""
    address = address.strip()
    if "@" in address:
        validators.email(address)
    domain = guessing.domain_of(address)
    validators.domain(domain)
    known = {preset.slug: preset for preset in overrides.all()}
    if slug := guessing.guess(domain, known=known.values()):
        return _found(domain, known[slug], ())
    try:
        mx = _mx(domain, resolver or dns.resolver.get_default_resolver())
    except dns.resolver.NXDOMAIN:
        return Guess(domain, "missing", f"DNS says that {domain} does not exist. Check its spelling.")
    except dns.resolver.NoAnswer:
        return Guess(domain, "none", f"{domain} receives no mail: it has no MX record.")
    except (dns.exception.DNSException, OSError):
        return Guess(domain, "unknown", f"DNS did not answer for {domain}. Try again, or choose the provider yourself.")
    if slug := guessing.guess(domain, mx, known.values()):
        return _found(domain, known[slug], mx, _without_sign_in(known.values(), mx))
    listed = ", ".join(mx[:LISTED])
    text = f"The mail of {domain} goes to {listed}, which the panel has no settings for."
    return Guess(domain, "none", text if listed else f"{domain} receives no mail (null MX).", mx=mx[:LISTED])


def _without_sign_in(known: Iterable[Preset], mx: tuple[str, ...]) -> str:
    """The other way that the same mail server offers, as a sentence; "" when there is none."""
    found = next((preset for preset in known if preset.host_like and preset.host_like.search(mx[0])), None)
    return f"To its own mailboxes a server can send without a password: {found.label}, server {mx[0]}." if found else ""


def _found(domain: str, preset: Preset, mx: tuple[str, ...], besides: str = "") -> Guess:
    text = f"{domain} belongs to {preset.label}, and these are its settings."
    if mx:
        text = f"The mail of {domain} goes to {mx[0]}, so these are the settings of {preset.label}. "
        text = f"{text}Mail may leave through another provider: then choose that one. {besides}".strip()
    return Guess(domain, "found", text, preset, mx[:LISTED], own_domain=bool(mx))


def _mx(domain: str, resolver: dns.resolver.Resolver) -> tuple[str, ...]:
    answer = resolver.resolve(domain + ".", "MX", lifetime=LIFETIME)
    rows = sorted((row.preference, row.exchange.to_text(omit_final_dot=True).lower()) for row in answer)
    return tuple(name for _, name in rows if name not in ("", "."))
