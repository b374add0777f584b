"""SMTP provider accounts on the command line: manage.py smarthost add|list|show|set-default."""

from dataclasses import replace

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand

from gateway import rules, smarthosts, values
from gateway.management import words
from gateway.models import Smarthost, Tls
from gateway.providers import presets
from gateway.values import Values
from servers.management import console


class Command(BaseCommand):
    help = "SMTP providers of the panel: add, list, show, set-default."

    def add_arguments(self, parser):
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        _add_arguments(verbs.add_parser("add", help="store an account"))
        listing = verbs.add_parser("list", help="the accounts, without their passwords")
        listing.add_argument("--json", action="store_true")
        show = verbs.add_parser("show", help="one account")
        show.add_argument("name")
        show.add_argument("--json", action="store_true")
        default = verbs.add_parser("set-default", help="the account used where nothing else was chosen")
        default.add_argument("name")
        console.add_actor(default)

    def handle(self, **options):
        try:
            getattr(self, f"do_{options['verb'].replace('-', '_')}")(options)
        except ValidationError as error:
            raise console.complaint(error) from error

    def do_add(self, options) -> None:
        password = words.read_password() if options["password_stdin"] else None
        by = console.actor(options["actor"]) or console.COMMAND_LINE
        new = replace(_typed(options), password=password)
        smarthost = smarthosts.create(options["name"], new, by=by, default=options["default"])
        for warning in rules.warnings(smarthost, typed=password is not None):
            self.stderr.write(f"Warning: {warning}")
        self._print(smarthost, options["json"])

    def do_list(self, options) -> None:
        rows = list(Smarthost.objects.shared().with_use())
        if options["json"]:
            console.print_json({"smarthosts": [words.document(row) for row in rows]}, self.stdout)
            return
        for row in rows:
            self.stdout.write(words.line(row))
        if not rows:
            self.stdout.write("No SMTP provider yet. Add one: manage.py smarthost add NAME --preset P …")

    def do_show(self, options) -> None:
        self._print(words.shared(options["name"]), options["json"])

    def do_set_default(self, options) -> None:
        smarthost = words.shared(options["name"])
        smarthosts.set_default(smarthost, by=console.actor(options["actor"]) or console.COMMAND_LINE)
        self.stdout.write(f"{smarthost} is the default provider.")

    def _print(self, smarthost: Smarthost, as_json: bool) -> None:
        found = words.document(Smarthost.objects.with_use().get(pk=smarthost.pk))
        if as_json:
            console.print_json(found, self.stdout)
            return
        for name, value in found.items():
            self.stdout.write(f"{name.replace('_', ' '):20} {value}")


def _add_arguments(parser) -> None:
    parser.add_argument("name")
    parser.add_argument("--preset", default="generic", help=f"one of: {', '.join(p.slug for p in presets.all())}")
    parser.add_argument("--region", default="", help="for providers that have regions")
    parser.add_argument("--host", default="", help="the SMTP server; follows from most presets")
    parser.add_argument("--port", type=int)
    parser.add_argument("--tls", default="", choices=Tls.values, help="default: what the port implies")
    parser.add_argument("--no-verify", action="store_true", help="do not check the certificate")
    parser.add_argument("--username", default="")
    parser.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    parser.add_argument("--iam-secret", action="store_true", help="the password is an IAM secret: derive the SMTP one")
    for name in values.FREE:
        parser.add_argument(f"--{name.replace('_', '-')}", default="")
    parser.add_argument("--default", action="store_true", help="make it the default")
    parser.add_argument("--json", action="store_true")
    console.add_actor(parser)


def _typed(options: dict) -> Values:
    names = ("preset", "region", "host", "port", "tls", "username", "iam_secret", *values.FREE)
    return Values(**{name: options[name] for name in names}, verify_certificate=not options["no_verify"])
