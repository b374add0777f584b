"""From alerts to people: what is news becomes a delivery for each route, and each delivery is tried until it is taken
or given up. Everything due is in rows, claimed by compare-and-swap: any number of processes may do this at once."""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Count
from django.urls import reverse
from django.utils import timezone

from servers.alerts import grouping, hostkeys, kinds, message, quiet, raising
from servers.alerts.message import Message
from servers.alerts.models import Alert, Delivery, Route, Trouble
from servers.alerts.ways import NotSent, chat, email, webhook

log = logging.getLogger(__name__)
BACK_OFF = (60, 300, 900, 3600, 3 * 3600)  # seconds after the first failure, the second …; then it is given up
CLAIM = timedelta(minutes=5)  # longer than any way takes; a killed process's delivery is taken up again after it
KEEP = timedelta(days=90)
NAMED = 10
_WAYS = {Route.Way.EMAIL: email.send, Route.Way.WEBHOOK: webhook.send, Route.Way.CHAT: chat.send}


def tell() -> None:
    """Everything there is to do now. Called every few seconds."""
    hostkeys.watch()
    raising.tidy()
    now = timezone.now()
    for alert in Alert.objects.filter(settled=False).annotate(count=Count("troubles")):
        _queue(alert, now)
    due = Delivery.objects.filter(state=Delivery.State.WAITING, due_at__lte=now).order_by("due_at", "pk")
    for delivery in due.select_related("route", "alert")[:100]:
        _deliver(delivery)


def forget(now: datetime) -> None:
    """Closed alerts and their deliveries after 90 days."""
    Alert.objects.filter(settled=True, closed_at__lt=now - KEEP).delete()
    Delivery.objects.filter(alert__isnull=True, due_at__lt=now - KEEP).delete()


def ask_trial(route: Route) -> Delivery:
    """A test alert that waits for a worker; one that waits already is not asked for again."""
    waiting = route.deliveries.filter(event="test", state=Delivery.State.WAITING).first()
    return waiting or Delivery.objects.create(route=route, event="test", due_at=timezone.now())


def trial(route: Route) -> Delivery:
    """A test alert now, by the caller, whatever the quiet hours; the row says how it went."""
    delivery = Delivery.objects.create(route=route, event="test", due_at=timezone.now() + CLAIM)
    return _try(delivery)


def deliver(pk: int) -> None:
    """One of those that wait, ahead of its turn in `tell`."""
    for delivery in Delivery.objects.filter(pk=pk, state=Delivery.State.WAITING).select_related("route", "alert"):
        _deliver(delivery)


def _queue(alert: Alert, now: datetime) -> None:
    event = grouping.news(alert.opened_at, alert.closed_at, alert.count, alert.told_count, alert.told_at, now)
    if not event and not alert.closed_at:
        return
    with transaction.atomic():
        mine = Alert.objects.filter(pk=alert.pk, settled=False, told_at=alert.told_at, closed_at=alert.closed_at)
        changes = {"told_at": now, "told_count": alert.count} if event else {}
        if mine.update(**changes, settled=bool(alert.closed_at)) and event:
            heard = Route.objects.filter(deliveries__alert=alert).distinct()
            for route in heard if event == grouping.CLOSED else Route.objects.hearing(alert):
                _queue_for(route, alert, event, now)


def _queue_for(route: Route, alert: Alert, event: str, now: datetime) -> None:
    earlier = route.deliveries.filter(alert=alert)
    unsent = earlier.filter(state=Delivery.State.WAITING)
    if event == grouping.CLOSED:
        unsent.update(state=Delivery.State.SKIPPED, answer="It recovered before it was told.")
        if not earlier.filter(state=Delivery.State.SENT).exists():
            return
    elif unsent.exists():
        unsent.update(count=alert.count)  # what waits tells the newest count anyway
        return
    until = quiet.until(now, route.quiet_from, route.quiet_until, route.zone)
    Delivery.objects.create(route=route, alert=alert, event=event, count=alert.count, due_at=until or now)


def _deliver(delivery: Delivery) -> None:
    mine = Delivery.objects.filter(pk=delivery.pk, state=Delivery.State.WAITING, due_at=delivery.due_at)
    if not delivery.route.active and delivery.alert:
        mine.update(state=Delivery.State.SKIPPED, answer="The route was switched off.")
    elif mine.update(due_at=timezone.now() + CLAIM):
        _try(delivery)


def about(alert: Alert, event: str) -> Message:
    """The alert as it is now."""
    troubles = Trouble.objects.filter(alert=alert) if alert.closed_at else alert.troubles.open()
    count, shown = troubles.count(), list(troubles.select_related("server")[:NAMED])
    names = tuple(trouble.server.name for trouble in shown if trouble.server)
    text = shown[0].text if count == 1 else alert.text
    return Message(
        event=event,
        kind=alert.kind,
        serious=alert.severity == kinds.SERIOUS,
        title=grouping.title(text, count, names[0] if names else ""),
        hint=alert.hint,
        url=_absolute(reverse("alerts:alert", args=[alert.pk])),
        count=count,
        names=names,
        opened_at=alert.opened_at,
        closed_at=alert.closed_at,
        alert=alert.pk,
    )


def _absolute(path: str) -> str:
    return f"{settings.SITE_URL}{path}"


def _try(delivery: Delivery) -> Delivery:
    now, route, alert = timezone.now(), delivery.route, delivery.alert
    told = about(alert, delivery.event) if alert else message.trial(route.name, _absolute(reverse("alerts:list")), now)
    delivery.attempts += 1
    delivery.at, delivery.count = now, told.count
    try:
        delivery.answer = _WAYS[route.way](route, told)
        delivery.state = Delivery.State.SENT
    except NotSent as error:
        delivery.answer = str(error)
        last = error.final or alert is None or delivery.attempts > len(BACK_OFF)
        delivery.state = Delivery.State.FAILED if last else Delivery.State.WAITING
        if not last:
            delivery.due_at = now + timedelta(seconds=BACK_OFF[delivery.attempts - 1])
    except Exception:  # one broken route must not keep the others from hearing
        log.exception("The alert route %s could not be told", route.name)
        delivery.answer, delivery.state = "The panel broke while it sent this; its log says why.", Delivery.State.FAILED
    delivery.save(update_fields=["attempts", "at", "count", "answer", "state", "due_at"])
    return delivery
