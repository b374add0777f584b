"""Whether the provider still takes this account: what one gentle try says, weighed with those before it. Pure.

Its findings (gateway.drift) have the slugs "certificate" and "sign-in". One that says no carries "tries", how
often it said no in a row, and "area", where that is mended. The first no is "unknown", since providers have bad
minutes; from the second on it is "fail".
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from gateway.drift import finding
from gateway.proof import Proof, Stage

SLUGS = ("certificate", "sign-in")
ENDS_SOON = timedelta(days=14)
CONFIRMED = 2  # times in a row
ELSEWHERE = "The sign-in was not tried from here: the provider refuses this account on another server."
# Until an account that was refused so often is tried again. A third wrong password within minutes locks accounts.
_PAUSES = (timedelta(0), timedelta(minutes=1), timedelta(hours=1), timedelta(hours=4), timedelta(days=1))
LONGEST = _PAUSES[-1]
_NO_WAY = ("no-sign-in-offered", "no-usable-sign-in-method")
_NO_VERDICT = ("too-many-sign-ins",)  # says nothing of the password


def pause(tries: int) -> timedelta:
    return _PAUSES[min(tries, len(_PAUSES) - 1)]


def due(now: datetime, last: datetime | None, place: int, every: timedelta, tries: int = 0) -> bool:
    """Whether a server is to try its account. last: when it last did, or when an install proved it. place: any number
    of its own, so that a fleet is spread over `every`. tries: how often in a row it was refused.

    A turn that was missed by an eighth of `every` is over, so that a panel that was away does not catch up at once.
    """
    if tries:
        return last is None or now - last >= pause(tries)
    if last is not None and now - last > 2 * every:
        return True
    length = int(every.total_seconds())
    late = timedelta(seconds=(now.timestamp() - place % length) % length)
    return late < every / 8 and (last is None or last < now - late)


def weigh(before: Iterable[dict], proof: Proof) -> list[dict]:
    """The findings after this try, given those before it."""
    earlier, blocker = refused(before), proof.blocker
    if blocker is None and all(stage.state != "unknown" for stage in proof.stages):
        return []
    slug = _refuses(blocker)
    if slug:
        tries = 1 + (int(earlier["tries"]) if earlier and earlier["slug"] == slug else 0)
        return [_refusal(slug, blocker, tries)]
    return [earlier] if earlier else [_untried(blocker)]


def elsewhere(before: Iterable[dict]) -> list[dict]:
    """The findings where another server's refusal keeps this one from trying."""
    earlier = refused(before)
    return [earlier or finding("sign-in", "unknown", ELSEWHERE, "It is tried again once that server gets in.")]


def lasting(problems: Iterable[dict]) -> list[dict]:
    """Those of a row's findings that stand until the account is tried again."""
    return [one for one in problems if one["slug"] == "sign-in" or (one["slug"] == "certificate" and "tries" in one)]


def refused(problems: Iterable[dict]) -> dict | None:
    return next((one for one in problems if one["slug"] in SLUGS and "tries" in one), None)


def confirmed(problems: Iterable[dict]) -> dict | None:
    """The refusal that turns a gateway's state."""
    found = refused(problems)
    return found if found and int(found["tries"]) >= CONFIRMED else None


def certificate(until: datetime | None, now: datetime) -> list[dict]:
    """What the certificate's end is worth saying, days before it."""
    if until is None or until - now > ENDS_SOON:
        return []
    day = f"{until.astimezone(UTC):%-d %B %Y}"
    if until <= now:
        hint = "The provider must renew it: until then Postfix keeps mail waiting. Another provider would take it now."
        return [finding("certificate", "fail", f"The provider's certificate ended on {day}.", hint)]
    left = (until - now).days
    when = "in less than a day" if left == 0 else "tomorrow" if left == 1 else f"in {left} days"
    hint = "Providers renew it by themselves; ask yours if it stays so. After that day Postfix keeps the mail back."
    return [finding("certificate", "warn", f"The provider's certificate ends {when}, on {day}.", hint)]


def _refuses(blocker: Stage | None) -> str:
    """Which slug a definite no belongs to; "" for none."""
    meaning = blocker.explanation if blocker else None
    known = meaning.slug if meaning else ""
    if blocker is None or known in _NO_VERDICT:
        return ""
    if blocker.name == "tls" and known.startswith("certificate-"):
        return "certificate"
    return "sign-in" if blocker.name == "auth" and (blocker.evidence[:1] == "5" or known in _NO_WAY) else ""


def _refusal(slug: str, blocker: Stage, tries: int) -> dict:
    cause, fix = _told(blocker)
    sure = tries >= CONFIRMED
    text = cause if sure else f"{cause} That was once: the next look tries again."
    area = blocker.explanation.area if blocker.explanation else "none"
    return finding(slug, "fail" if sure else "unknown", text, fix, tries=str(tries), area=area)


def _untried(blocker: Stage | None) -> dict:
    if blocker is None:
        hint = "Postfix itself proves it with every mail; a test email shows how."
        return finding("sign-in", "unknown", "The sign-in could not be tried from this server.", hint)
    cause, fix = _told(blocker)
    return finding("sign-in", "unknown", f"The provider could not be tried. {cause}", fix)


def _told(stage: Stage) -> tuple[str, str]:
    meaning, said = stage.explanation, stage.evidence.partition("\n")[0][:200]
    if meaning is None:
        return f"{stage.title}: {said}", "Diagnose says more: it looks at every stage."
    return (meaning.cause if meaning.exact else f"{meaning.cause} It said: {said}"), meaning.fix
