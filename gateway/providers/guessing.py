"""Which provider an address belongs to, by its domain and by where that domain's mail goes."""

from collections.abc import Iterable

from gateway.providers import presets
from gateway.providers.preset import Preset


def guess(address: str, mx: Iterable[str] = (), known: Iterable[Preset] | None = None) -> str | None:
    """The preset's slug for an e-mail address or a bare domain; `mx`: its mail servers, the preferred first. known: the
    presets to choose from; the built-in ones.

    None when no preset knows it, which says nothing about where the domain sends from.
    """
    domain, known = domain_of(address), tuple(known or presets.all())
    for preset in known:
        if domain in preset.domains or domain in preset.hosts():
            return preset.slug
    return next((slug for name in mx if (slug := _by_mx(name, known))), None)


def domain_of(address: str) -> str:
    return address.rpartition("@")[2].strip().rstrip(".").lower()


def _by_mx(name: str, known: tuple[Preset, ...]) -> str | None:
    """The longest known end wins: mxa.eu.mailgun.org is Mailgun's in Europe."""
    host = "." + name.strip().rstrip(".").lower()
    ends = ((end, preset.slug) for preset in known for end in preset.mx if host.endswith(end))
    return max(ends, key=lambda found: len(found[0]), default=(None, None))[1]
