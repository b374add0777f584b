"""Test emails of the last days: the chart, provider by provider, and the list behind every number of both."""

from datetime import date, datetime, time, timedelta
from urllib.parse import urlencode

from django.db.models import Case, Count, F, Max, Q, QuerySet, When
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from controlpanel import chart, glance
from controlpanel.access.gate import Permission, may, needs
from controlpanel.access.models import User
from controlpanel.web import page
from controlpanel.web.listing import Filter, Listing
from controlpanel.web.words import LOOKS
from gateway.models import Gateway, Smarthost, TestEmail
from servers.jobs.discretion import Discretion

DAYS = 14
OUTCOMES = ("sent", "deferred", "bounced", "queued")  # from the bottom of a bar up
OWN = "own"  # values of one server, and providers that were deleted


def history(user: User) -> dict:
    """Context of the chart and of the table of providers."""
    rows = TestEmail.objects.by_day(user, DAYS)
    counts: dict[tuple[date, str], int] = {}
    for row in rows:
        key = (row["day"], row["delivery"])
        counts[key] = counts.get(key, 0) + row["count"]
    drawn = chart.stack(days(), OUTCOMES, counts)
    return {
        "chart": drawn,
        "outcomes": [{"slug": o, "count": drawn.totals[o], "url": _url(delivery=o)} for o in OUTCOMES],
        "tests_url": _url(),
        "providers": _providers(user, rows) if may(user, Permission.USE_SHARED) else [],
    }


def days() -> list[date]:
    """The last DAYS days in the panel's zone, today included, oldest first."""
    today = timezone.localdate()
    return [today - timedelta(days=back) for back in reversed(range(DAYS))]


def _since() -> datetime:
    return _midnight(days()[0])


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


def _url(**query: str) -> str:
    return reverse("test-emails") + (f"?{urlencode(query)}" if query else "")


def _providers(user: User, rows: list[dict]) -> list[dict]:
    """One line a shared provider, the most used first, and one for all own values together."""
    used, last, tests = _used(user), _last(user), {}
    for row in rows:
        of_provider = tests.setdefault(row["smarthost"], dict.fromkeys(OUTCOMES, 0))
        of_provider[row["delivery"]] = of_provider.get(row["delivery"], 0) + row["count"]
    names = dict(Smarthost.objects.shared().values_list("pk", "name"))
    seen = Discretion(user, {email.server_id for email in last.values()})
    lines = []
    for key in {**names, None: ""}:
        if key is None and not used.get(None) and None not in tests:
            continue
        value, of_provider, email = str(key or OWN), tests.get(key, {}), last.get(key)
        lines.append(
            {
                "name": names.get(key, ""),
                "url": reverse("smarthosts:edit", args=[key]) if key and may(user, Permission.SETTINGS) else "",
                "servers": used.get(key, 0),
                "servers_url": f"{reverse('servers:list')}?{urlencode({'provider': value})}",
                "tests": [
                    {"slug": o, "count": of_provider.get(o, 0), "url": _url(provider=value, delivery=o)}
                    for o in OUTCOMES
                ],
                "last": email,
                "reply": seen.hide(email.server_id, email.reply) if email else "",
            }
        )
    return sorted(lines, key=lambda line: (not line["name"], -line["servers"], line["name"].lower()))


def _shared(path: str) -> Case:
    """The id of a shared provider; None for everything else."""
    return Case(When(**{f"{path}__server__isnull": True, "then": F(f"{path}_id")}), default=None)


def _used(user: User) -> dict:
    rows = Gateway.objects.filter(server__in=glance.mine(user), applied__isnull=False).order_by()
    return dict(rows.annotate(provider=_shared("applied")).values_list("provider").annotate(Count("pk")))


def _last(user: User) -> dict:
    """{provider: its newest test email}"""
    recent = TestEmail.objects.visible_to(user).filter(at__gte=_since()).order_by()
    newest = dict(recent.annotate(provider=_shared("smarthost")).values_list("provider").annotate(Max("pk")))
    emails = TestEmail.objects.in_bulk(newest.values())
    return {provider: emails[pk] for provider, pk in newest.items() if pk in emails}


@require_safe
@needs(Permission.VIEW)
def index(request: HttpRequest) -> HttpResponse:
    """What is behind a bar of the chart or a number of the table."""
    user = request.user
    rows = TestEmail.objects.visible_to(user).filter(at__gte=_since()).select_related("server", "smarthost")
    listing = Listing(
        request,
        rows.defer("server__findings"),
        search=("server__name__icontains",),
        filters=_filters(user),
        sorts={"at": ("at", "pk"), "server": ("server__name", "-pk")},
        default_sort="-at",
    )
    emails = list(listing.rows)
    seen = Discretion(user, {email.server_id for email in emails})
    lines = [{"email": email, "reply": seen.hide(email.server_id, email.reply)} for email in emails]
    named = may(user, Permission.USE_SHARED)
    context = {"listing": listing, "rows": lines, "days": DAYS, "named": named}
    return page.render(request, "test_emails.html", context)


def _filters(user: User) -> list[Filter]:
    dates = [(day.isoformat(), f"{day:%-d %b}") for day in reversed(days())]
    outcomes = [(slug, LOOKS[slug].word) for slug in OUTCOMES]
    filters = [
        Filter("day", "Day", dates, _on_day),
        Filter("delivery", "Outcome", outcomes, lambda rows, value: rows.filter(delivery=value)),
    ]
    if may(user, Permission.USE_SHARED):
        names = [(str(pk), name) for pk, name in Smarthost.objects.shared().values_list("pk", "name")]
        filters.append(Filter("provider", "SMTP provider", [*names, (OWN, "Own values")], _through))
    return filters


def _on_day(rows: QuerySet, value: str) -> QuerySet:
    day = date.fromisoformat(value)
    return rows.filter(at__gte=_midnight(day), at__lt=_midnight(day + timedelta(days=1)))


def _through(rows: QuerySet, value: str) -> QuerySet:
    if value == OWN:
        return rows.filter(Q(smarthost__isnull=True) | Q(smarthost__server__isnull=False))
    return rows.filter(smarthost=value)
