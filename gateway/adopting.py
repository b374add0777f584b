"""Which values found in main.cf may stay in place of ours, and why others may not. Pure.

`changes` is what gateway.drift found: {parameter: [value there, our value]}, None where there is none.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from servers.remote.secret import MASK

Changes = Mapping[str, list[str | None]]
# What our promises rest on: mail goes to the proved account, over a checked connection, under senders it accepts.
# Pattern of the parameter, why its value cannot stay, and what to enter in the server's form instead.
_IN_FORM = (
    (
        "relayhost",
        "It decides where all mail goes, and the sign-in belongs to one server.",
        "Enter that server in the form on the Services tab: it is proved before mail goes there.",
    ),
    (
        r"smtp_sasl_\w+",
        "It belongs to the sign-in, and passwords are never read back from a server.",
        "Enter user name and password in the form on the Services tab.",
    ),
    (
        "smtp_tls_(security_level|wrappermode|CAfile|CApath)",
        "It decides whether the password travels encrypted, and to whom.",
        "Choose port, encryption and certificate check in the form on the Services tab.",
    ),
    (
        "smtp_generic_maps|sender_canonical_maps|myhostname|myorigin",
        "Senders of this server are rewritten by it, and the provider refuses others.",
        "Enter sending domain and HELO name in the form on the Services tab.",
    ),
    (
        "virtual_alias_maps",
        "It is the table that sends mail for root to the address chosen for it.",
        "Enter the address for root in the form on the Services tab.",
    ),
)
# Likewise, where there is nothing to enter.
_OURS_ALONE = (
    (
        "smtp_reply_filter",
        "It keeps mail that the provider refuses because of the set-up, instead of returning it.",
        "Reapply ours. A filter that was there before the gateway is installed is left alone.",
    ),
    (
        "sender_dependent_default_transport_maps",
        "It can send mail past the provider.",
        "Reapply ours, and put routes of your own into transport_maps, which the panel leaves alone.",
    ),
)
_HOP = re.compile(r"\[?(?:ipv6:)?([A-Za-z0-9.:-]+?)\]?(?::(\d{1,5}))?")


@dataclass(frozen=True)
class Difference:
    """One parameter. refusal: why the server's value cannot stay, "" when it can; instead: what to do then; in_form:
    whether the server's form is the place for it."""

    name: str
    there: str | None
    ours: str | None
    refusal: str = ""
    instead: str = ""
    in_form: bool = False

    @property
    def may_stay(self) -> bool:
        return not self.refusal


class Refused(Exception):
    """These values cannot stay."""

    def __init__(self, refused: list[Difference]):
        super().__init__(" ".join(f"{one.name} cannot be kept: {one.refusal}" for one in refused))
        self.hint = " ".join(dict.fromkeys(one.instead for one in refused))


class Unknown(Exception):
    """This is not what differs now."""

    hint = "Look at what differs now, then choose again."


def differences(changes: Changes) -> list[Difference]:
    """In the order of the file."""
    return [Difference(name, there, ours, *_refusal(name, there)) for name, (there, ours) in changes.items()]


def chosen(changes: Changes, names: Iterable[str]) -> dict[str, str | None]:
    """{parameter: value that is to stay}. Raises Unknown for a name that does not differ and for no name, Refused."""
    asked = set(names)
    if not asked or asked - set(changes):
        raise Unknown(Unknown.__doc__)
    picked = [one for one in differences(changes) if one.name in asked]
    if refused := [one for one in picked if not one.may_stay]:
        raise Refused(refused)
    return {one.name: one.there for one in picked}


def way(relayhost: str | None) -> dict[str, str]:
    """{"host", "port"} of a relayhost, as far as it names them, for filling in a form."""
    found = _HOP.fullmatch((relayhost or "").strip())
    return {name: text for name, text in zip(("host", "port"), found.groups(), strict=True) if text} if found else {}


def _refusal(name: str, there: str | None) -> tuple[str, str, bool]:
    for rules, in_form in ((_IN_FORM, True), (_OURS_ALONE, False)):
        for pattern, refusal, instead in rules:
            if re.fullmatch(pattern, name):
                return refusal, instead, in_form
    if MASK in (there or ""):
        return "A password stands in it, and passwords are never read back from a server.", "Reapply ours.", False
    if "\ufffd" in (there or ""):
        instead = "Write it in UTF-8 on the server, or reapply ours."
        return "Some of its characters cannot be read exactly.", instead, False
    return "", "", False
