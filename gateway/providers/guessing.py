"""Which provider an address belongs to, by its domain and by where that domain's mail goes."""

from collections.abc import Iterable

from gateway.providers import presets


def guess(address: str, mx: Iterable[str] = ()) -> str | None:
    """The preset's slug for an e-mail address or a bare domain; `mx`: its mail servers, the preferred first.

    None when no preset knows it, which says nothing about where the domain sends from.
    """
    domain = domain_of(address)
    for preset in presets.all():
        if domain in preset.domains or domain in preset.hosts():
            return preset.slug
    return next((slug for name in mx if (slug := _by_mx(name))), None)


def domain_of(address: str) -> str:
    return address.rpartition("@")[2].strip().rstrip(".").lower()


def _by_mx(name: str) -> str | None:
    """The longest known end wins: mxa.eu.mailgun.org is Mailgun's in Europe."""
    host = "." + name.strip().rstrip(".").lower()
    ends = ((end, preset.slug) for preset in presets.all() for end in preset.mx if host.endswith(end))
    return max(ends, key=lambda found: len(found[0]), default=(None, None))[1]
