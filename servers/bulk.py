"""What is asked before something is done on many servers: the forms behind the confirm page and the command line."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from controlpanel.access.gate import Permission, may
from controlpanel.access.models import User
from servers import catalog
from servers.jobs.launch import launch
from servers.jobs.models import Batch, Job
from servers.jobs.rollout import PLAIN, Policy
from servers.models import Server, ServerQuerySet


@dataclass(frozen=True)
class Asked:
    """batch: what to follow, or None when no server had to be reached. told: one sentence for the person."""

    batch: Batch | None
    told: str = ""


class BulkForm(forms.Form):
    """One bulk entry of the catalogue. Subclasses add fields, and say whom they leave out and what they launch.

    The generic exclusions (archived, another job running, a changed host key) are made by `sort_out`, not here. The
    page keeps for itself the names server, servers, which, query, digest, newest, try_all and confirm.
    """

    action = ""  # "gateway.install"; "" when no job is launched
    tries_all = False  # looking at servers that could not be reached is the point

    def __init__(self, data=None, *, viewer: User):
        super().__init__(data)
        self.viewer = viewer

    def excluded(self, servers: ServerQuerySet) -> dict:
        """{server id: why it is left out, one sentence}, in a number of queries that does not grow with the servers.
        Called after `is_valid` when there is data, so it may depend on what was chosen."""
        return {}

    def effects(self, count: int) -> list[str]:
        """What will happen to `count` servers, as sentences."""
        return []

    def ask(self, servers: ServerQuerySet, *, by: User, policy: Policy = PLAIN) -> Asked:
        """Does it. The form is valid and the servers are those that remained."""
        return Asked(launch(self.action, servers, by=by, policy=policy))


def moment(text: str, now: datetime) -> datetime | None:
    """A date and time, in UTC unless it names its zone; a bare "02:00" is the next one. None: neither. Pure."""
    if found := re.fullmatch(r"([0-9]{1,2}):([0-9]{2})", text):
        try:
            wanted = datetime.combine(now.astimezone(UTC), time(int(found[1]), int(found[2])), UTC)
        except ValueError:
            return None
        return wanted if wanted > now else wanted + timedelta(days=1)
    try:
        parsed = parse_datetime(text)
        return parsed and (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


class Moment(forms.CharField):
    """A time to come."""

    widget = forms.DateTimeInput(attrs={"type": "datetime-local", "data-utc": ""}, format="%Y-%m-%dT%H:%M")

    def clean(self, value) -> datetime | None:
        text = super().clean(value)
        if not text:
            return None
        now = timezone.now()
        found = moment(text, now)
        if found is None:
            raise ValidationError("A time is written as 2026-11-22 02:00 or 02:00, in UTC.")
        if found <= now:
            raise ValidationError("This time has passed.")
        return found


def _count(label: str, hint: str, most: int = 100_000) -> forms.IntegerField:
    widget = forms.NumberInput(attrs={"inputmode": "numeric"})
    return forms.IntegerField(
        label=label, help_text=hint, required=False, min_value=1, max_value=most, widget=widget, localize=False
    )


class PolicyForm(forms.Form):
    """How the jobs of a batch are let loose. Left alone it asks for nothing special: `policy()` is then PLAIN."""

    canary = _count("Try on so many servers first", "The rest follows only if every one of them succeeds.")
    batch_percent = _count("Servers at a time, in %", "The next ones begin when these have ended.", 100)
    stop_after = _count("Stop after so many failures", "Servers that cannot be reached count as failures.")
    stop_percent = _count("Stop when so many % have failed", "Of all servers.", 100)
    at_once = _count("Servers at work at once", "Left blank: as many as the workers take.")
    order = forms.ChoiceField(
        label="Order", required=False, initial="name", choices=[("name", "By name"), ("random", "In random order")]
    )
    start_at = Moment(label="Begin at (UTC)", required=False, help_text="Left blank: at once.")
    end_at = Moment(
        label="Begin nothing after (UTC)", required=False, help_text="What has begun by then goes on to its end."
    )

    def clean(self) -> dict:
        values = super().clean()
        start, end = values.get("start_at"), values.get("end_at")
        if start and end and end <= start:
            self.add_error("end_at", "This is not after the time to begin.")
        return values

    def policy(self) -> Policy:
        values = self.cleaned_data
        return Policy(
            canary=values["canary"] or 0,
            portion=values["batch_percent"],
            stop_after=values["stop_after"],
            stop_percent=values["stop_percent"],
            concurrency=values["at_once"],
            order=values["order"] or PLAIN.order,
            starts_at=values["start_at"],
            ends_at=values["end_at"],
        )


ARCHIVED = "Archived. Restore it on its Settings tab first."
KEY = "Its host key waits for somebody to accept or refuse it on its page."
BUSY = "Another job that changes it has not finished. Wait for that job, or cancel it."
UNREACHABLE = "The last connection check failed."


@dataclass(frozen=True)
class LeftOut:
    """Servers (names) that stay out for one reason. can_try: a person may have them tried all the same."""

    reason: str
    names: list[str]
    can_try: bool = False


@dataclass(frozen=True)
class Sorted:
    """Who goes and who stays out, in order of names; the reason most have comes first. going: {id: name}."""

    going: dict
    left_out: list[LeftOut]


def sort_out(servers: ServerQuerySet, form: BulkForm, *, try_all: bool = False) -> Sorted:
    """The same few queries for one server and for ten thousand."""
    rows = list(servers.order_by("name").values_list("pk", "name", "reach", "archived_at"))
    busy, own = _busy(servers, form), form.excluded(servers.live())
    going, reasons = {}, {}
    for pk, name, reach, archived_at in rows:
        reason = ARCHIVED if archived_at else _held(reach, form) or own.get(pk) or (BUSY if pk in busy else "")
        if not reason and not (try_all or form.tries_all) and form.action and reach == Server.Reach.FAILED:
            reason = UNREACHABLE
        if reason:
            reasons.setdefault(reason, []).append(name)
        else:
            going[pk] = name
    left_out = [LeftOut(reason, names, reason == UNREACHABLE) for reason, names in reasons.items()]
    return Sorted(going, sorted(left_out, key=lambda out: -len(out.names)))


def _held(reach: str, form: BulkForm) -> str:
    """A server whose host key nobody has accepted refuses every job but the check."""
    waiting = reach in (Server.Reach.KEY_OFFERED, Server.Reach.KEY_CHANGED)
    return KEY if waiting and form.action and not form.tries_all else ""


def _busy(servers: ServerQuerySet, form: BulkForm) -> set:
    if not form.action or not catalog.find(form.action)[1].mutating:
        return set()
    return set(Job.objects.live().filter(mutating=True, server__in=servers.order_by()).values_list("server", flat=True))


def offered(viewer: User) -> list[tuple[catalog.Service, catalog.Bulk]]:
    """What this person may ask of many servers: services with a card first."""
    services = sorted(catalog.services(), key=lambda service: service.hidden)
    return [(service, entry) for service in services for entry in service.bulk if _may(viewer, entry)]


def _may(viewer: User, entry: catalog.Bulk) -> bool:
    return may(viewer, Permission.RUN) and may(viewer, entry.permission)
