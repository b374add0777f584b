"""What of a preset an organisation may change, in the order people see it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from gateway.providers import kinds, lists
from gateway.providers.preset import POLICIES, SPF_PLACES, Dns, Preset


def _always(preset: Preset) -> bool:
    return True


def _own_server(preset: Preset) -> bool:
    """A provider of its own; not the one preset that stands for every server."""
    return not preset.any_port


def _has_regions(preset: Preset) -> bool:
    return bool(preset.regions)


@dataclass(frozen=True)
class Field:
    """name: dotted path in a Preset. blank: nothing is a value of its own; where it is not, nothing typed means the
    built-in value. offered: whether this preset has such a thing. Values are plain JSON, see `kinds`."""

    name: str
    label: str
    kind: kinds.Kind
    hint: str = ""
    blank: bool = False
    offered: Callable[[Preset], bool] = _always

    def of(self, preset: Preset) -> Any:
        outer, _, inner = self.name.partition(".")
        found = getattr(preset, outer)
        if inner:
            found = getattr(Dns() if found is None else found, inner)
        return self.kind.plain(found)

    def trimmed(self, built_in: Preset, value: Any) -> Any:
        """`value` without what the built-in preset says anyway."""
        return value

    def lay(self, preset: Preset, value: Any) -> Preset:
        """The preset with `value`, which has passed `kind.check`."""
        outer, _, inner = self.name.partition(".")
        value = self.kind.rich(value)
        if inner:
            part = getattr(preset, outer)
            value = replace(Dns() if part is None else part, **{inner: value})
        return replace(preset, **{outer: value})


class MoreRegions(Field):
    """Regions beside the built-in ones, which all stay."""

    def of(self, preset: Preset) -> dict:
        return {}

    def trimmed(self, built_in: Preset, value: dict) -> dict:
        known = {slug: [label, built_in.in_host.get(slug, slug)] for slug, label in built_in.regions.items()}
        return {slug: told for slug, told in value.items() if told != known.get(slug)}

    def lay(self, preset: Preset, value: dict) -> Preset:
        labels = {slug: label for slug, (label, _) in value.items()}
        parts = {slug: part for slug, (_, part) in value.items()}
        return replace(preset, regions=preset.regions | labels, in_host=preset.in_host | parts)


_PER_ACCOUNT = "For one account. Blank: no limit is known."

FIELDS: dict[str, Field] = {
    field.name: field
    for field in (
        Field("host", "Server", kinds.Host(), "What new accounts are filled in with.", offered=_own_server),
        MoreRegions(
            "regions",
            "More regions",
            lists.Regions(),
            "One a line: eu-south-1 = Europe (Milan). Where the host name spells it another way, add that at the end: "
            "au = Australia = com.au.",
            blank=True,
            offered=_has_regions,
        ),
        Field("default_region", "Region chosen beforehand", kinds.OfRegions(), offered=_has_regions),
        Field(
            "ports",
            "Ports",
            lists.Ports(),
            "The preferred one first. starttls begins in the clear and turns encryption on; implicit is encrypted from "
            "the first byte.",
        ),
        Field("from_policy", "From addresses", kinds.Choice(POLICIES), "What happens to an address it does not know."),
        Field("limits.connections", "Connections at once", kinds.Number(1000), _PER_ACCOUNT, blank=True),
        Field("limits.per_minute", "Messages a minute", kinds.Number(10**6), _PER_ACCOUNT, blank=True),
        Field("limits.per_hour", "Messages an hour", kinds.Number(10**8), _PER_ACCOUNT, blank=True),
        Field("limits.per_day", "Messages a day", kinds.Number(10**9), _PER_ACCOUNT, blank=True),
        Field("limits.recipients", "Recipients of one message", kinds.Number(10**5), blank=True),
        Field(
            "limits.size",
            "Largest message",
            kinds.Size(),
            "As it is sent, which is a third more than its attachments: 26 MB, or a number of bytes.",
            blank=True,
        ),
        Field(
            "limits.note",
            "Limits in words",
            kinds.Text(400),
            "The built-in words are left out beside changed numbers.",
            blank=True,
        ),
        Field("caveat", "What a sender should know", kinds.Text(600), "Stands beside every form for this provider."),
        Field(
            "dns.spf_include",
            "SPF include",
            kinds.Domain(),
            "What a sending domain names in its SPF record. Blank: nothing.",
            blank=True,
            offered=_own_server,
        ),
        Field("dns.spf_needed", "Where SPF is needed", kinds.Choice(SPF_PLACES), offered=_own_server),
        Field(
            "dns.dkim",
            "DKIM keys",
            lists.Keys(),
            "The names to look for, one a line: s1 cname s1.example.net, or mail txt. {domain} and {region} may stand "
            "in a target. Blank: every account gets its own.",
            blank=True,
            offered=_own_server,
        ),
        Field("verified", "Verified on", kinds.Day(), "The day somebody compared this with the provider."),
        Field("source", "Source", kinds.Text(300), "Where it says so."),
    )
}
