"""DNS of sending domains on the command line: manage.py dns check DOMAIN."""

import sys

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand

from controlpanel.web.words import LOOKS
from gateway import validators
from gateway.deliverability import domains
from gateway.deliverability.models import Domain
from gateway.providers import presets
from servers.management import console


class Command(BaseCommand):
    help = "DNS of sending domains: check."

    def add_arguments(self, parser):
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        check = verbs.add_parser("check", help="SPF, DKIM, DMARC and MX of a domain, against what its providers need")
        check.add_argument("domain")
        check.add_argument(
            "--preset", action="append", default=[], help="a provider that sends for it, beside the panel's"
        )
        check.add_argument("--selector", action="append", default=[], help="a DKIM selector of its own")
        check.add_argument("--json", action="store_true")

    def handle(self, **options):
        name = options["domain"].strip().lower().rstrip(".")
        try:
            validators.domain(name)
            typed = domains.read_selectors(" ".join(options["selector"]))
        except ValidationError as error:
            raise console.complaint(error) from error
        unknown = set(options["preset"]).difference(presets.slugs())
        if unknown:
            raise console.Usage(f"There is no preset {', '.join(sorted(unknown))}.")
        row = Domain.objects.filter(name=name).first()
        senders = (*domains.senders(name), *(domains.sender(slug) for slug in options["preset"]))
        selectors = tuple(dict.fromkeys([*(row.selectors.split() if row else ()), *typed.split()]))
        report = domains.look(name, tuple(dict.fromkeys(senders)), selectors)
        if row and not options["preset"] and not typed:
            domains.keep(row.pk, report)
        if options["json"]:
            console.print_json(report.document(), self.stdout)
        else:
            self._print(report)
        if report.state != "ok":
            sys.exit(console.NOT_ALL)

    def _print(self, report) -> None:
        for finding in report.findings:
            self.stdout.write(f"{LOOKS[finding.state].word:8} {finding.what}")
            for line in (*finding.evidence.splitlines(), finding.hint):
                if line:
                    self.stdout.write(f"         {line}")
        for wanted in report.publish:
            self.stdout.write(f"\n{'Optional' if wanted.optional else 'Publish'}: {wanted.why}")
            self.stdout.write(f"  {wanted.name}. {wanted.kind} {wanted.value}")
