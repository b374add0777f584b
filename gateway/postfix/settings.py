"""Which main.cf parameters are ours, and their values. Two kinds of server:

null: Postfix came with us. It listens on loopback only and hands every mail to the relay.
kept: Postfix was there before and may receive mail. Only what concerns the way to the relay is ours.
"""

import re
from collections.abc import Mapping

from gateway.postfix.distro import Distro
from gateway.postfix.files import Maps
from gateway.postfix.spec import Relay
from gateway.postfix.state import Facts

_DELIMITERS = ":|;!,~^=/"
# Parameters that need a new start: a reload keeps the listening sockets and the address families.
NEED_RESTART = ("inet_interfaces", "inet_protocols")
SIZE, POSTFIX_SIZE = "message_size_limit", 10_240_000
_ROUTES = ("transport_maps", "sender_dependent_relayhost_maps", "sender_dependent_default_transport_maps")
_PACE = ("smtp_destination_rate_delay", "smtp_destination_concurrency_limit")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def delimiter(relay: Relay, distro: Distro) -> str:
    """The sign between user name and password, or "" when this server's Postfix has none that fits."""
    if ":" not in relay.username:
        return ":"
    return next((sign for sign in _DELIMITERS if sign not in relay.username), "") if distro.delimiter else ""


def own_name(relay: Relay, facts: Facts) -> str:
    """A full name in any case: without a dot Postfix warns and some providers hang up."""
    if relay.helo_name:
        return relay.helo_name
    if "." in facts.fqdn and not facts.fqdn.startswith("localhost"):
        return facts.fqdn
    host = re.sub(r"[^A-Za-z0-9-]", "-", facts.hostname.partition(".")[0]).strip("-") or "server"
    return f"{host}.{relay.sending_domain or 'localdomain'}"


def local_names(relay: Relay, facts: Facts, *, null: bool) -> tuple[str, ...]:
    """The names local senders may carry: programs use the host name, the full name, localhost or the mail name."""
    own = [own_name(relay, facts)] if null else [facts.settings.get("myhostname", "")]
    names = [*own, facts.fqdn, facts.hostname, facts.mailname if null else "", "localhost", "localhost.localdomain"]
    usable = [name.lower() for name in names if re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", name)]
    return tuple(dict.fromkeys(usable))


def relay_settings(relay: Relay, maps: Maps, distro: Distro, theirs: Mapping[str, str]) -> dict[str, str]:
    """Ours on every server. `theirs`: values that were there before us, kept behind ours where a list allows it."""
    sign = delimiter(relay, distro)
    level = "none" if relay.tls == "none" else "secure" if relay.verify else "encrypt"
    settings = {
        "relayhost": relay.nexthop,
        "smtp_sasl_auth_enable": "yes" if relay.password is not None else "no",
        "smtp_tls_security_level": level,
        "smtp_tls_wrappermode": "yes" if relay.tls == "implicit" else "no",
        "smtp_tls_loglevel": "1",
    }
    if relay.tls != "none":
        settings["smtp_tls_CAfile"] = distro.ca_file
    if relay.password is not None:
        settings["smtp_sasl_password_maps"] = maps.password_table
        settings["smtp_sasl_security_options"] = "noanonymous"
        settings["smtp_sasl_tls_security_options"] = "noanonymous"
        if sign != ":":
            settings["smtp_sasl_password_result_delimiter"] = sign
    if theirs.get("smtp_sasl_mechanism_filter"):
        settings["smtp_sasl_mechanism_filter"] = ""
    if "generic" in maps.contents:
        settings["smtp_generic_maps"] = _before(maps.table("generic"), theirs.get("smtp_generic_maps", ""))
    if not theirs.get("smtp_reply_filter"):
        settings["smtp_reply_filter"] = maps.table("reply_filter")
    return settings | _limits(relay, theirs)


def null_settings(relay: Relay, maps: Maps, distro: Distro, facts: Facts) -> dict[str, str]:
    """A server that only sends. What nobody listens to (aliases, notices) is off."""
    settings = {
        "compatibility_level": distro.compatibility,
        "myhostname": own_name(relay, facts),
        "myorigin": "$myhostname",
        "mydestination": "",
        "inet_interfaces": "loopback-only",
        "inet_protocols": "all" if facts.ipv6 else "ipv4",
        "mynetworks": "127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128",
        "alias_maps": "",
        "alias_database": "",
        "enable_long_queue_ids": "yes",
        "biff": "no",
        "append_dot_mydomain": "no",
        "notify_classes": "",
        # Bounce reports cannot be delivered here and providers refuse an empty sender; the panel reads the log instead.
        "sender_dependent_default_transport_maps": "inline:{ {<> = discard:bounce} }",
        "bounce_queue_lifetime": "1d",
    }
    if "virtual" in maps.contents:
        settings["virtual_alias_maps"] = maps.table("virtual")
    if "sender" in maps.contents:
        settings["sender_canonical_maps"] = maps.table("sender")
    # What the provider would refuse is refused to the program that sends it, and what it takes is let through.
    size = {name: value for name, value in relay.limits if name == SIZE}
    return settings | relay_settings(relay, maps, distro, {}) | size


def remarks(relay: Relay, theirs: Mapping[str, str]) -> list[str]:
    """What on a kept server still decides about mail and is not ours to change."""
    notes = []
    for name in (*_ROUTES, "smtp_tls_policy_maps", "smtp_reply_filter"):
        if theirs.get(name):
            notes.append(f"{name} was set before ({theirs[name]}) and still applies to the mail it matches.")
    if relay.root_address:
        notes.append("This server delivers its own mail: /etc/aliases decides about root, not the address given here.")
    if relay.forced_sender:
        notes.append("Only senders named after this server are rewritten; other mail passing through keeps its own.")
    return notes + _remarks_on_limits(relay, theirs)


def _remarks_on_limits(relay: Relay, theirs: Mapping[str, str]) -> list[str]:
    notes, limits = [], dict(relay.limits)
    size, paced = limits.pop(SIZE, None), any(name in limits for name in _PACE)
    if paced and any(theirs.get(name) for name in _ROUTES):
        notes.append("Mail that leaves by SMTP another way than through the provider is held to the same pace.")
    if paced and _set_before(theirs, "smtp_destination_recipient_limit") == "1":
        notes.append(
            "smtp_destination_recipient_limit is 1 here, so Postfix counts each recipient by itself: mail to many goes "
            "out faster than the account's share."
        )
    taken = theirs.get(SIZE) or str(POSTFIX_SIZE)
    if size and taken.isdigit() and not 0 < int(taken) <= int(size):
        notes.append(f"{SIZE} is {taken} here and stays so: mail too large for the provider comes back as a report.")
    return notes


def _limits(relay: Relay, theirs: Mapping[str, str]) -> dict[str, str]:
    """They count for each destination of Postfix's SMTP client, and all mail to the relay is one destination. What
    somebody else set stays where it is as strict; the size of a message concerns the mail a server receives as well."""
    return {
        name: value
        for name, value in relay.limits
        if name != SIZE and not _as_strict(name, _set_before(theirs, name), value)
    }


def _set_before(theirs: Mapping[str, str], name: str) -> str:
    return theirs.get(name) or theirs.get(name.replace("smtp_", "default_", 1), "")


def _as_strict(name: str, theirs: str, ours: str) -> bool:
    there, needed = _number(theirs), _number(ours)
    if there is None or needed is None:
        return False
    if name == "smtp_destination_rate_delay":
        return there >= needed
    if name == "smtp_destination_concurrency_failed_cohort_limit":
        return there == 0 or there >= needed
    return 0 < there <= needed


def _number(value: str) -> int | None:
    """A count, or a time in seconds; None for what is neither."""
    match = re.fullmatch(r"([0-9]{1,10})([smhdw]?)", value)
    return int(match[1]) * _UNITS[match[2]] if match else None


def _before(ours: str, theirs: str) -> str:
    return f"{ours}, {theirs}" if theirs else ours
