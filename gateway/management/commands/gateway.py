"""The email gateway on the command line: manage.py gateway install|reinstall|uninstall|test|status|preview|check|
diagnose|health|drift|adopt."""

import sys

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand

from controlpanel.access.models import User
from gateway import adopting, gateways
from gateway.management import drifts, looks, words
from gateway.models import Gateway
from gateway.server_forms import TestForm
from servers.jobs import launch
from servers.jobs.models import Batch
from servers.jobs.rollout import Policy
from servers.management import console
from servers.models import Server

HELP = {
    "install": "make servers send through an SMTP provider",
    "reinstall": "the same, for new values or after a change by hand",
    "uninstall": "put back what was there before",
    "preview": "show what an install would do, and do nothing",
    "check": "look whether servers are as they were installed",
    "health": "one cheap look at each gateway now: drift, queue, clock, disk",
    "drift": "what differs from what the panel wrote there, as the last look found it",
    "adopt": "keep values of main.cf that differ on a server, and check it; `reinstall` puts ours back instead",
    "diagnose": "say why mail does not get out, without changing or sending anything",
    "test": "send a test email from each server and follow it",
    "status": "what the panel knows, without asking the servers",
}


class Command(BaseCommand):
    help = f"The email gateway: {', '.join(HELP)}."

    def add_arguments(self, parser):
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        for name, text in HELP.items():
            verb = verbs.add_parser(name, help=text)
            if name == "adopt":
                _adopt_arguments(verb)
                continue
            console.add_selection(verb)
            if name in ("status", "health", "drift"):
                verb.add_argument("--json", action="store_true")
                if name == "health":
                    verb.add_argument("--stored", action="store_true", help="what the last look found; ask no server")
                continue
            console.add_policy(verb)
            console.add_following(verb)
            console.add_actor(verb)
            if name in ("install", "reinstall", "preview", "diagnose"):
                verb.add_argument("--smarthost", metavar="NAME", help="default: what is wanted, else the default one")
            if name in ("install", "reinstall", "preview"):
                verb.add_argument("--replace-mta", action="store_true", help="consent to remove another mail system")
            if name in ("install", "reinstall", "uninstall"):
                verb.add_argument("--dry-run", action="store_true", help="show the steps and change nothing")
            if name == "uninstall":
                verb.add_argument("--forget", action="store_true", help="also forget the values stored for the server")
                verb.add_argument("--purge-queue", action="store_true", help="consent to lose mail that still waits")
            if name == "test":
                _test_arguments(verb)

    def handle(self, **options):
        try:
            code = getattr(self, f"do_{options['verb']}")(options)
        except ValidationError as error:
            raise console.complaint(error) from error
        except (gateways.NothingWanted, adopting.Unknown, adopting.Refused) as error:
            raise console.Usage(f"{error} {error.hint}") from error
        except (launch.Busy, launch.Archived) as error:
            self.stderr.write(f"{error} {error.hint}")
            code = console.NOT_ALL
        if code:
            sys.exit(code)

    def do_install(self, options) -> int:
        if options["dry_run"]:
            return self.do_preview(options)
        servers, by, policy = _asked(options)
        smarthost = words.shared(options["smarthost"]) if options["smarthost"] else None
        asked = {"replace_mta": True} if options["replace_mta"] else {}
        batch = gateways.ask(f"gateway.{options['verb']}", servers, smarthost, by=by, options=asked, policy=policy)
        return self._follow(batch, options)

    do_reinstall = do_install

    def do_preview(self, options) -> int:
        servers, by, policy = _asked(options)
        asked = {"replace_mta": options["replace_mta"]}
        if options["smarthost"]:
            asked["smarthost"] = str(words.shared(options["smarthost"]).pk)
        batch = launch.launch("gateway.preview", servers, by=by, options=asked, policy=policy)
        code = self._follow(batch, options)
        if not options["json"] and (options["wait"] or options["here"]):
            words.print_previews(batch, self.stdout)
        return code

    def do_diagnose(self, options) -> int:
        servers, by, policy = _asked(options)
        asked = {"smarthost": str(words.shared(options["smarthost"]).pk)} if options["smarthost"] else {}
        batch = launch.launch("gateway.diagnose", servers, by=by, options=asked, policy=policy)
        code = self._follow(batch, options)
        if not options["json"] and (options["wait"] or options["here"]):
            words.print_diagnoses(batch, self.stdout)
        return code

    def do_uninstall(self, options) -> int:
        servers, by, policy = _asked(options)
        asked = {name: True for name in ("dry_run", "forget", "purge_queue") if options[name]}
        batch = launch.launch("gateway.uninstall", servers, by=by, options=asked, policy=policy)
        return self._follow(batch, options)

    def do_check(self, options) -> int:
        servers, by, policy = _asked(options)
        return self._follow(launch.launch("gateway.check", servers, by=by, policy=policy), options)

    def do_drift(self, options) -> int:
        found = [drifts.document(server) for server in console.selection(options)]
        if options["json"]:
            console.print_json({"servers": found}, self.stdout)
        else:
            self.stdout.write("\n".join(map(drifts.text, found)))
        return console.NOT_ALL if any(told["problems"] for told in found) else console.OK

    def do_adopt(self, options) -> int:
        by = console.actor(options["actor"]) or console.COMMAND_LINE
        how = {"everything": options["every"], "stop": options["stop"], "by": by}
        return self._follow(drifts.adopt(console.server(options["server"]), options["parameter"], **how), options)

    def do_test(self, options) -> int:
        form = TestForm(_mail(options))
        if not form.is_valid():
            raise ValidationError({name: list(texts) for name, texts in form.errors.items()})
        servers, by, policy = _asked(options)
        batch = launch.launch("gateway.test", servers, by=by, options=form.options(), policy=policy)
        return self._follow(batch, options)

    def do_health(self, options) -> int:
        rows = list(looks.looks(console.selection(options), stored=options["stored"]))
        if options["json"]:
            console.print_json({"servers": rows}, self.stdout)
        else:
            self.stdout.write("\n".join(map(looks.line, rows)))
        return console.OK if all(map(looks.well, rows)) else console.NOT_ALL

    def do_status(self, options) -> int:
        servers = console.selection(options)
        rows = Gateway.objects.filter(server__in=servers).select_related("applied", "wanted")
        known = {row.server_id: row for row in rows}
        states = gateways.states(servers)
        paces = words.paces(known.values())
        rows = [
            words.status(s, known.get(s.pk) or Gateway(server=s), states[s.pk], paces.get(s.pk, "")) for s in servers
        ]
        if options["json"]:
            console.print_json({"servers": rows}, self.stdout)
            return console.OK
        for row in rows:
            through = f" through {row['smarthost']} ({row['host']})" if row["smarthost"] else ""
            detail = f": {row['detail']}" if row["detail"] else ""
            pace = f", may {row['pace']}" if row["pace"] else ""
            self.stdout.write(f"{row['server']}: {row['state']}{through}, {row['queued']} waiting{pace}{detail}")
        return console.OK

    def _follow(self, batch: Batch, options: dict) -> int:
        return console.follow(
            batch, wait=options["wait"], as_json=options["json"], here=options["here"], out=self.stdout
        )


def _asked(options: dict) -> tuple[list[Server], User | None, Policy]:
    return console.selection(options), console.actor(options["actor"]), console.policy(options)


def _adopt_arguments(parser) -> None:
    parser.add_argument("server", metavar="SERVER")
    parser.add_argument("parameter", nargs="*", metavar="PARAMETER", help="of main.cf, as `gateway drift` names it")
    parser.add_argument("--every", action="store_true", help="all that can be kept")
    parser.add_argument("--stop", action="store_true", help="keep them no longer; `reinstall` then writes ours")
    console.add_following(parser)
    console.add_actor(parser)


def _test_arguments(parser) -> None:
    parser.add_argument("--from", dest="sender", default="", help="default: the account's usual sender")
    parser.add_argument("--to", dest="recipient", required=True)
    parser.add_argument("--subject", default="")
    parser.add_argument("--body", default="")
    parser.add_argument("--html", action="store_true")


def _mail(options: dict) -> dict:
    mail = {name: options[name] for name in ("sender", "recipient", "subject", "body")}
    return mail | {"html": "html" if options["html"] else ""}
