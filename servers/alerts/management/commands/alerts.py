"""Alerts on the command line: manage.py alerts list|test."""

import json

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.table import Table

from servers.alerts import delivering, kinds
from servers.alerts.models import Alert, Delivery, Route


class Command(BaseCommand):
    help = "Open alerts, and a test alert over one route."

    def add_arguments(self, parser):
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        listing = verbs.add_parser("list", help="what is open; exit code 1 when something is")
        listing.add_argument("--past", action="store_true", help="what is over, instead")
        listing.add_argument("--json", action="store_true")
        test = verbs.add_parser("test", help="send a test alert and show the answer")
        test.add_argument("route", help="its name")

    def handle(self, *args, verb: str, **options):
        if verb == "test":
            self._test(options["route"])
        else:
            self._list(past=options["past"], as_json=options["json"])

    def _list(self, *, past: bool, as_json: bool) -> None:
        rows = Alert.objects.filter(closed_at__isnull=False).order_by("-closed_at") if past else Alert.objects.open()
        rows = rows[:200] if past else rows.worst_first()[:200]
        told = [delivering.about(alert, "closed" if past else "opened") for alert in rows]
        if as_json:
            self.stdout.write(json.dumps([message.as_json() for message in told], indent=2, ensure_ascii=False))
        elif told:
            table = Table("Since (UTC)", "Kind", "What", "What to do")
            for message in told:
                since, kind = f"{message.opened_at:%Y-%m-%d %H:%M}", kinds.of(message.kind).label
                table.add_row(since, kind, message.title, message.hint)
            Console(file=self.stdout, markup=False).print(table)
        else:
            self.stdout.write("No past alerts." if past else "No open alerts.")
        if told and not past:
            raise SystemExit(1)

    def _test(self, name: str) -> None:
        route = Route.objects.filter(name=name).first()
        if route is None:
            known = ", ".join(Route.objects.values_list("name", flat=True)) or "none yet"
            raise CommandError(f"There is no alert route {name!r}. There are: {known}.")
        delivery = delivering.trial(route)
        if delivery.state != Delivery.State.SENT:
            raise CommandError(f"{route} did not take it: {delivery.answer}")
        self.stdout.write(f"{route} took it: {delivery.answer}")
