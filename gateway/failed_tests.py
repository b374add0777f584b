"""Test emails that failed within the last hour. Too many are an alert, one for each number somebody set. Those that
wait for a provider are told as its mail that waits, as a look would tell it, and not once more as failures."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.urls import reverse

from gateway import alarms, drift, symptoms
from gateway.models import TestEmail
from gateway.providers.replies import Explanation
from servers.alerts import raising
from servers.alerts.models import Limits, Route, Trouble

KIND = "tests-failing"
HOUR = timedelta(hours=1)
_FAILED = ("bounced", "deferred")


def count(now: datetime) -> None:
    limits = {Limits.current().failed_tests, *Route.objects.limits()}
    rows = TestEmail.objects.filter(at__gt=now - HOUR, at__lte=now, delivery__in=_FAILED)
    if rows.count() <= min(limits):
        _tell(0, limits)
        return
    tests = list(rows.select_related("server__gateway", "smarthost"))
    meanings = _held_up(tests)
    known = set(Trouble.objects.open().filter(kind__in=symptoms.HELD_UP).values_list("server", flat=True))
    waits = {test.server: meanings[test.pk] for test in tests if test.pk in meanings and _unseen(test)}
    for server, meaning in waits.items():
        if server.pk not in known:
            alarms.held_up(server, meaning)
    _tell(len(tests) - len(meanings), limits)


def _tell(failed: int, limits: set[int]) -> None:
    over = {limit for limit in limits if failed > limit}
    for limit in over:
        emails = "test email" if limit == 1 else "test emails"
        raising.raise_alert(
            KIND,
            limit,
            cause=f"more-than-{limit}",
            text=f"More than {limit} {emails} failed within an hour" if limit else "A test email failed",
            hint="The list shows what each server and provider answered.",
            url=reverse("test-emails"),
            failed_tests=limit,
        )
    for subject in Trouble.objects.open().filter(kind=KIND).values_list("subject", flat=True):
        if subject not in map(str, over):
            raising.recovered(KIND, subject)


def _held_up(tests: Iterable[TestEmail]) -> dict[int, Explanation]:
    """{id: why} of those whose mail waits for the provider. Alike replies are read once."""
    read, found = {}, {}
    for test in tests:
        if test.delivery == "deferred" and test.smarthost:
            preset = test.smarthost.preset
            key = (preset, test.cause, "" if test.cause else test.reply)
            if key not in read:
                read[key] = drift.blamed([test.reply], preset)
            if read[key]:
                found[test.pk] = read[key]
    return found


def _unseen(test: TestEmail) -> bool:
    """Whether the mail may still wait: no look has met the server since, and it still relays through that provider."""
    gateway = getattr(test.server, "gateway", None)
    return bool(
        gateway and gateway.applied_id == test.smarthost_id and (gateway.seen_at is None or gateway.seen_at < test.at)
    )
