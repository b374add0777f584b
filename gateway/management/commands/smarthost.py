"""SMTP provider accounts on the command line: manage.py smarthost
add|guess|list|show|set-default|rotate|roll-out|rollback|forget|presets|preset-set."""

import shlex
import sys
from dataclasses import replace

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand

from gateway import guessing, overrides, rotation, rules, smarthosts, values
from gateway.management import known, words
from gateway.models import Smarthost, Tls
from gateway.providers import presets
from gateway.values import Values
from servers.fields import Unreadable
from servers.jobs.launch import Busy
from servers.jobs.models import Batch
from servers.jobs.rollout import Policy
from servers.management import console


class Command(BaseCommand):
    help = (
        "SMTP providers of the panel: add, guess, list, show, set-default, rotate, roll-out, rollback, forget; and "
        "what is known of each: presets, preset-set."
    )

    def add_arguments(self, parser):
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        _add_arguments(verbs.add_parser("add", help="store an account"))
        guess = verbs.add_parser("guess", help="the provider an e-mail address or a domain belongs to")
        guess.add_argument("address")
        guess.add_argument("--json", action="store_true")
        listing = verbs.add_parser("list", help="the accounts, without their passwords")
        listing.add_argument("--json", action="store_true")
        show = verbs.add_parser("show", help="one account")
        show.add_argument("name")
        show.add_argument("--json", action="store_true")
        default = verbs.add_parser("set-default", help="the account used where nothing else was chosen")
        default.add_argument("name")
        console.add_actor(default)
        _rotation_arguments(verbs)
        known.add_arguments(verbs)

    def handle(self, **options):
        try:
            code = getattr(self, f"do_{options['verb'].replace('-', '_')}")(options)
        except ValidationError as error:
            raise console.complaint(error) from error
        except (rotation.NothingKept, Unreadable) as error:
            raise console.Usage(words.told(error)) from error
        except (rotation.NothingBehind, Busy) as error:
            self.stderr.write(words.told(error))
            code = console.NOT_ALL
        if code:
            sys.exit(code)

    def do_add(self, options) -> None:
        password = words.read_password() if options["password_stdin"] else None
        by = console.actor(options["actor"]) or console.COMMAND_LINE
        new = replace(_typed(options), password=password)
        smarthost = smarthosts.create(options["name"], new, by=by, default=options["default"])
        for warning in rules.warnings(smarthost, typed=password is not None):
            self.stderr.write(f"Warning: {warning}")
        self._print(smarthost, options["json"])

    def do_guess(self, options) -> int:
        found = guessing.look_up(options["address"])
        slug = found.preset.slug if found.preset else None
        if options["json"]:
            said = {"domain": found.domain, "state": found.state, "preset": slug, "mx": found.mx, "text": found.text}
            console.print_json(said, self.stdout)
        else:
            self.stdout.write(found.text)
            if slug:
                self.stdout.write(f"Add it: manage.py smarthost add NAME --preset {slug} …")
        return console.OK if slug else console.NOT_ALL

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

    def do_rotate(self, options) -> int:
        smarthost, policy = words.shared(options["name"]), _policy(options)
        by = console.actor(options["actor"])
        new = replace(values.of(smarthost), password=words.read_password())
        new = replace(new, username=options["username"] or new.username, iam_secret=options["iam_secret"])
        changed, _ = smarthosts.change(smarthost, smarthost.name, new, by=by or console.COMMAND_LINE)
        if not options["roll_out"]:
            use = rotation.use(changed)
            self.stdout.write(f"{changed} has a new password. {words.progress(use)}")
            if use.behind:
                self.stdout.write(f"Bring it there: manage.py smarthost roll-out {shlex.quote(changed.name)}")
            return console.OK
        return self._follow(rotation.roll_out(changed, by=by, policy=policy, try_all=True), options)

    def do_roll_out(self, options) -> int:
        smarthost, policy = words.shared(options["name"]), _policy(options)
        batch = rotation.roll_out(smarthost, by=console.actor(options["actor"]), policy=policy, try_all=True)
        return self._follow(batch, options)

    def do_rollback(self, options) -> int:
        smarthost, policy = words.shared(options["name"]), console.policy(options)
        batch = rotation.roll_back(smarthost, by=console.actor(options["actor"]) or console.COMMAND_LINE, policy=policy)
        if batch is None:
            smarthost.refresh_from_db()
            self.stdout.write(f"{smarthost} has its earlier password again. {words.progress(rotation.use(smarthost))}")
            return console.OK
        return self._follow(batch, options)

    def do_forget(self, options) -> None:
        smarthost = words.shared(options["name"])
        rotation.forget(smarthost, by=console.actor(options["actor"]) or console.COMMAND_LINE)
        self.stdout.write(f"The earlier password of {smarthost} was forgotten.")

    def do_presets(self, options) -> None:
        if options["preset"]:
            self._print_preset(known.one(options["preset"]), options["json"])
        elif options["json"]:
            console.print_json({"presets": [known.document(row) for row in overrides.listed()]}, self.stdout)
        else:
            for row in overrides.listed():
                self.stdout.write(known.line(row))

    def do_preset_set(self, options) -> None:
        by = console.actor(options["actor"]) or console.COMMAND_LINE
        self._print_preset(known.change(options, by=by), options["json"])

    def _print_preset(self, row: overrides.Known, as_json: bool) -> None:
        if as_json:
            console.print_json(known.document(row), self.stdout)
            return
        for line in known.lines(row):
            self.stdout.write(line)

    def _follow(self, batch: Batch, options: dict) -> int:
        return console.follow(
            batch, wait=options["wait"], as_json=options["json"], here=options["here"], out=self.stdout
        )

    def _print(self, smarthost: Smarthost, as_json: bool) -> None:
        row = Smarthost.objects.with_use().get(pk=smarthost.pk)
        found = words.document(row) | words.used(row)
        if as_json:
            console.print_json(found, self.stdout)
            return
        for name, value in found.items():
            self.stdout.write(f"{name.replace('_', ' '):20} {value}")


def _add_arguments(parser) -> None:
    parser.add_argument("name")
    parser.add_argument("--preset", default="generic", help=f"one of: {', '.join(presets.slugs())}")
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


def _rotation_arguments(verbs) -> None:
    rotate = verbs.add_parser("rotate", help="replace the password, and with --roll-out bring it to every server")
    rotate.add_argument("--username", default="", help="the user name that comes with it; default: the present one")
    rotate.add_argument("--password-stdin", action="store_true", required=True, help="read it from standard input")
    rotate.add_argument("--iam-secret", action="store_true", help="the password is an IAM secret: derive the SMTP one")
    rotate.add_argument("--roll-out", action="store_true", help="prove it on one server, then bring it to the others")
    out = verbs.add_parser("roll-out", help="bring the present values to every server that is behind")
    back = verbs.add_parser("rollback", help="put the earlier password back, here and where the new one was taken")
    for parser in (rotate, out, back):
        console.add_policy(parser)
        console.add_following(parser)
    forget = verbs.add_parser("forget", help="forget the earlier password")
    for parser in (rotate, out, back, forget):
        parser.add_argument("name")
        console.add_actor(parser)


def _policy(options: dict) -> Policy:
    """New values are proved on one server first unless the command line says on how many."""
    policy = console.policy(options)
    return policy if policy.canary else replace(policy, canary=rotation.PROVED_FIRST.canary)


def _typed(options: dict) -> Values:
    names = ("preset", "region", "host", "port", "tls", "username", "iam_secret", *values.FREE)
    return Values(**{name: options[name] for name in names}, verify_certificate=not options["no_verify"])
