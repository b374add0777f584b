"""What a look found around a gateway, as troubles worth an alert. Pure. The sentences hold no counts and no times: they
are the same on every server of one cause, and at every look."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Upstream:
    """name: of a shared SMTP provider, else the host of the server's own values. url: the page of a shared one."""

    name: str = "the SMTP provider"
    shared: bool = False
    url: str = ""


@dataclass(frozen=True)
class Symptom:
    """One trouble. text: one sentence, true of every server of the alert. provider: the name in it that only
    some people may read."""

    kind: str
    cause: str
    text: str
    hint: str
    provider: str = ""
    url: str = ""


# slug of the finding -> its kind as a warning, its kind as a failure
_KINDS = {
    "queue": ("mail-waiting", "mail-waiting"),
    "clock": ("clock-off", "clock-off"),
    "disk": ("disk-low", "disk-full"),
    "certificate": ("certificate-ending", "certificate-refused"),
    "sign-in": ("sign-in-rejected", "sign-in-rejected"),
}
_TEXTS = {
    "mail-waiting": "Mail that goes through {} waits",
    "clock-off": "The clock is wrong",
    "disk-low": "There is little room for the mail queue",
    "disk-full": "There is no room for the mail queue",
    "certificate-ending": "The certificate of {} ends soon",
    "certificate-refused": "The certificate of {} is not valid",
    "sign-in-rejected": "{} rejects the sign-in",
}
KINDS = tuple(_TEXTS)
HELD_UP = ("mail-waiting", "sign-in-rejected", "certificate-refused")  # what a finding that mail waits becomes


def found(findings: Iterable[dict], upstream: Upstream) -> tuple[list[Symptom], list[str]]:
    """(what to raise, kinds that are over) of the findings of one look; what a finding calls unknown is in neither."""
    raised, over = {}, dict.fromkeys(KINDS)
    for one in findings:
        warn, fail = _KINDS.get(one["slug"], ("", ""))
        kind = {"warn": warn, "fail": fail}.get(one["state"], "")
        if kind == "mail-waiting":
            kind = _behind(one)
        if kind:
            hint = " ".join(filter(None, (one.get("cause"), one["hint"])))
            raised[kind] = _symptom(kind, hint, upstream)
        # Nobody is told that a warning is over because it got worse.
        still = {kind} if one["state"] == "warn" and kind == warn else {kind, warn, fail}
        over = {name: None for name in over if name not in still}
    return list(raised.values()), list(over)


def _behind(one: dict) -> str:
    """Why mail waits is the trouble where a look that signs in would see the same: then both are one alert."""
    if one.get("area") == "credentials":
        return "sign-in-rejected"
    return "certificate-refused" if one.get("because", "").startswith("certificate-") else "mail-waiting"


def _symptom(kind: str, hint: str, upstream: Upstream) -> Symptom:
    text = _TEXTS[kind]
    if "{}" not in text:
        return Symptom(kind, "here", text, hint)
    provider = upstream.name if upstream.shared else ""
    return Symptom(kind, upstream.name, text.format(upstream.name), hint, provider, upstream.url)
