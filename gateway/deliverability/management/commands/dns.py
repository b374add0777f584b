"""DNS of sending domains on the command line: manage.py dns check|list|selectors."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand
from django.db import connections

from controlpanel.web.words import LOOKS
from gateway import validators
from gateway.deliverability import domains
from gateway.deliverability.models import Domain
from gateway.providers import presets
from servers.management import console

POLL_SECONDS = 0.5


class Command(BaseCommand):
    help = "DNS of sending domains: check, list, selectors."

    def add_arguments(self, parser):
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        check = verbs.add_parser("check", help="SPF, DKIM, DMARC and MX of a domain, against what its providers need")
        check.add_argument("domain", nargs="?")
        check.add_argument("--all", action="store_true", help="every domain of the panel")
        check.add_argument(
            "--preset", action="append", default=[], help="a provider that sends for it, beside the panel's"
        )
        check.add_argument("--selector", action="append", default=[], help="a DKIM selector of its own, for this once")
        check.add_argument("--json", action="store_true")
        listing = verbs.add_parser("list", help="the domains of the panel, and what stood out at the last check")
        listing.add_argument("--json", action="store_true")
        selectors = verbs.add_parser("selectors", help="show or keep the DKIM selectors of an account's own")
        selectors.add_argument("domain")
        selectors.add_argument("selector", nargs="*", help="the part before ._domainkey; all of them, not one more")
        selectors.add_argument("--none", action="store_true", help="keep none")
        console.add_actor(selectors)

    def handle(self, **options):
        try:
            code = getattr(self, f"do_{options['verb']}")(options)
        except ValidationError as error:
            raise console.complaint(error) from error
        if code:
            sys.exit(code)

    def do_check(self, options) -> int:
        if options["all"] == bool(options["domain"]) or (options["all"] and (options["preset"] or options["selector"])):
            raise console.Usage("Name one domain, or say --all and nothing else.")
        return self._check_all(options) if options["all"] else self._check(options)

    def _check(self, options) -> int:
        name = _name(options["domain"])
        typed = domains.read_selectors(" ".join(options["selector"]))
        unknown = set(options["preset"]).difference(presets.slugs())
        if unknown:
            raise console.Usage(f"There is no preset {', '.join(sorted(unknown))}.")
        row = Domain.objects.filter(name=name).first()
        senders = (*domains.senders(name), *(domains.sender(slug) for slug in options["preset"]))
        selectors = tuple(dict.fromkeys([*(row.selectors.split() if row else ()), *typed.split()]))
        policy = row.report.get("policy") if row else None
        report = domains.look(name, tuple(dict.fromkeys(senders)), selectors, policy=policy)
        if row and not options["preset"] and not typed:
            domains.keep(row.pk, report)
        if options["json"]:
            console.print_json(report.document(), self.stdout)
        else:
            self._print(report.document())
        return console.OK if report.state == "ok" else console.NOT_ALL

    def _check_all(self, options) -> int:
        """Takes part in the work itself, so that it needs no worker; workers that are there help."""
        domains.collect()
        rows = list(Domain.objects.listed())
        domains.ask_many(rows, lambda: None)
        waiting = Domain.objects.listed().waiting()
        with ThreadPoolExecutor(domains.AT_ONCE) as pool:
            done = [pool.submit(_take_part) for _ in range(domains.AT_ONCE)]
            while (left := waiting.count()) and not all(future.done() for future in done):
                self.stderr.write(f"Checked {len(rows) - left} of {len(rows)}.")
                time.sleep(POLL_SECONDS)
        for future in done:
            future.result()
        return self.do_list(options)

    def do_list(self, options) -> int:
        rows = list(Domain.objects.listed())
        if options["json"]:
            console.print_json({"domains": [_told(row) for row in rows]}, self.stdout)
        for row in () if options["json"] else rows:
            self.stdout.write(f"{LOOKS[row.state].word:8} {row.name}  {row.stands_out}".rstrip())
        return console.NOT_ALL if options["verb"] == "check" and any(row.state != "ok" for row in rows) else console.OK

    def do_selectors(self, options) -> int:
        name = _name(options["domain"])
        row = Domain.objects.filter(name=name).first()
        if row is None:
            raise console.Usage(f"{name} is no domain of this panel.")
        if options["selector"] and options["none"]:
            raise console.Usage("Name selectors, or say --none.")
        if options["selector"] or options["none"]:
            by = console.actor(options["actor"]) or console.COMMAND_LINE
            domains.set_selectors(row, " ".join(options["selector"]), by=by)
            row.refresh_from_db()
        self.stdout.write(row.selectors or "none")
        for label, own in domains.own_selectors(domains.senders(row.name)):
            self.stdout.write(f"{label}: {own.example}. {own.page} ({own.where})")
        return console.OK

    def _print(self, report: dict) -> None:
        for finding in report["findings"]:
            self.stdout.write(f"{LOOKS[finding['state']].word:8} {finding['what']}")
            for line in (*finding["evidence"].splitlines(), finding["hint"], finding["link"]):
                if line:
                    self.stdout.write(f"         {line}")
        for wanted in report["publish"]:
            self.stdout.write(f"\n{'Optional' if wanted['optional'] else 'Publish'}: {wanted['why']}")
            self.stdout.write(f"  {wanted['name']}. {wanted['ttl']} IN {wanted['kind']} {wanted['exact']}")


def _name(text: str) -> str:
    """Raises ValidationError."""
    name = text.strip().lower().rstrip(".")
    validators.domain(name)
    return name


def _told(row: Domain) -> dict:
    return {"domain": row.name, "state": row.state, "stands_out": row.stands_out, "checked_at": row.checked_at}


def _take_part() -> int:
    try:
        return domains.work()
    finally:
        connections.close_all()
