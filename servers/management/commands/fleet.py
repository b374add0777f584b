"""Servers and their jobs on the command line: manage.py fleet VERB, each verb with its --help."""

import re
import sys

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand

from servers import inventory, trust
from servers.jobs import launch, machine
from servers.jobs.models import Job
from servers.management import batches, console, enrolment, listing, transfer
from servers.models import Server
from servers.remote.host import RemoteError


class Command(BaseCommand):
    help = "Servers: add, list, show, check, accept-key, tag, remove; their jobs and batches; pause and resume."

    def add_arguments(self, parser):
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        enrolment.add_arguments(verbs.add_parser("add", help="add a server"))
        _list_arguments(verbs.add_parser("list", help="servers and their state"))
        show = verbs.add_parser("show", help="one server, with what the last check found")
        show.add_argument("server")
        show.add_argument("--json", action="store_true")
        check = verbs.add_parser("check", help="check the connection of servers")
        for add in (console.add_selection, console.add_policy, console.add_following, console.add_actor):
            add(check)
        _key_arguments(verbs.add_parser("accept-key", help="accept the host key a server offers, new or changed"))
        _remove_arguments(verbs.add_parser("remove", help="take a server out of the panel"))
        _jobs_arguments(verbs.add_parser("jobs", help="the last jobs, newest first"))
        transfer.add_verbs(verbs)
        batches.add_verbs(verbs)
        _tag_arguments(verbs.add_parser("tag", help="give servers tags beside those they have"))
        _tag_arguments(verbs.add_parser("untag", help="take tags from servers"))
        job = verbs.add_parser("job", help="one job with its steps and output")
        job.add_argument("id", type=int)
        job.add_argument("--json", action="store_true")

    def handle(self, **options):
        try:
            code = getattr(self, f"do_{options['verb'].replace('-', '_')}")(options)
        except ValidationError as error:
            raise console.complaint(error) from error
        except RemoteError as error:
            self.stderr.write(f"{error} {error.hint}".strip())
            code = console.NOT_ALL
        if code:
            sys.exit(code)

    def do_add(self, options) -> int:
        server = enrolment.enrol(options)
        if options["json"]:
            console.print_json(listing.server_document(server), self.stdout)
        else:
            self.stdout.write("\n".join(enrolment.next_steps(server)))
        return console.OK

    def do_accept_key(self, options) -> int:
        server, by = console.server(options["server"]), console.actor(options["actor"]) or console.COMMAND_LINE
        trust.offer_host_keys(server, enrolment.offered(server))
        earlier = trust.pinned(server)
        if earlier and server.reach != Server.Reach.KEY_CHANGED:
            self.stdout.write(f"{server.name} still offers its accepted key, {earlier.fingerprint}.")
            return console.OK
        key = trust.pin_host_key(server, enrolment.chosen(server, options["host_key"]), by=by)
        machine.look_again(server)
        self.stdout.write(f"The host key {key.fingerprint} is accepted. Next: fleet check {server.name} --wait")
        return console.OK

    do_import, do_export = transfer.do_import, transfer.do_export
    do_batch, do_retry, do_cancel = batches.do_batch, batches.do_retry, batches.do_cancel
    do_start, do_pause, do_resume = batches.do_start, batches.do_pause, batches.do_resume

    def do_tag(self, options) -> int:
        return self._retag(inventory.tag, options)

    def do_untag(self, options) -> int:
        return self._retag(inventory.untag, options)

    def _retag(self, verb, options) -> int:
        names = [name.lower() for text in options["names"] for name in re.split("[ ,]+", text) if name]
        by = console.actor(options["actor"]) or console.COMMAND_LINE
        count = verb(console.selection(options), names, by=by)
        self.stdout.write(f"{count} server{'s' * (count != 1)} changed.")
        return console.OK

    def do_list(self, options) -> int:
        servers = Server.objects.filter(archived_at__isnull=not options["archived"])
        if options["tag"]:
            servers = servers.filter(tags__name__in=[tag.lower() for tag in options["tag"]]).distinct()
        if options["json"]:
            console.print_json({"servers": listing.server_documents(servers)}, self.stdout)
        else:
            listing.print_servers(servers, self.stdout)
        return console.OK

    def do_show(self, options) -> int:
        server = console.server(options["server"], archived_too=True)
        if options["json"]:
            console.print_json(listing.server_document(server) | {"findings": server.findings}, self.stdout)
        else:
            listing.print_server(server, self.stdout)
        return console.OK

    def do_check(self, options) -> int:
        servers, by = console.selection(options), console.actor(options["actor"])
        batch = launch.launch("server.check", servers, by=by, policy=console.policy(options))
        return console.follow(
            batch, wait=options["wait"], as_json=options["json"], here=options["here"], out=self.stdout
        )

    def do_remove(self, options) -> int:
        server = console.server(options["server"], archived_too=True)
        typed_at_terminal = sys.stdin.isatty() and not options["yes"]
        if typed_at_terminal and input(f"Type {server.name} to take it out of the panel: ") != server.name:
            raise console.Usage("Nothing was removed.")
        try:
            inventory.delete(
                server, by=console.actor(options["actor"]) or console.COMMAND_LINE, forget=options["forget"]
            )
        except inventory.Kept as error:
            self.stderr.write(f"{error} {error.hint}")
            return console.NOT_ALL
        self.stdout.write(f"{server.name} is no longer in the panel. Nothing was changed on the machine.")
        return console.OK

    def do_jobs(self, options) -> int:
        jobs = Job.objects.select_related("server").prefetch_related("steps")
        if options["server"]:
            jobs = jobs.filter(server=console.server(options["server"], archived_too=True))
        jobs = list(jobs.order_by("-pk")[: options["limit"]])
        if options["json"]:
            console.print_json({"jobs": [console.job_document(job) for job in jobs]}, self.stdout)
        else:
            listing.print_jobs(jobs, self.stdout)
        return console.OK

    def do_job(self, options) -> int:
        job = Job.objects.select_related("server").prefetch_related("steps__lines").filter(pk=options["id"]).first()
        if job is None:
            raise console.Usage(f"There is no job {options['id']}.")
        if options["json"]:
            console.print_json(console.job_document(job) | {"cause": job.cause, "hint": job.hint}, self.stdout)
        else:
            listing.print_job(job, self.stdout)
        return console.OK


def _list_arguments(parser) -> None:
    parser.add_argument("--tag", action="append", default=[], help="only servers with this tag")
    parser.add_argument("--archived", action="store_true", help="archived servers instead")
    parser.add_argument("--json", action="store_true")


def _key_arguments(parser) -> None:
    parser.add_argument("server")
    parser.add_argument("host_key", metavar="SHA256:…", help="the fingerprint you read on the server's own console")
    console.add_actor(parser)


def _remove_arguments(parser) -> None:
    parser.add_argument("server")
    parser.add_argument("--forget", action="store_true", help="also when a service is still installed there")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    console.add_actor(parser)


def _tag_arguments(parser) -> None:
    parser.add_argument("names", metavar="TAGS", nargs=1, help="one tag, or several separated by commas")
    console.add_selection(parser)
    console.add_actor(parser)


def _jobs_arguments(parser) -> None:
    parser.add_argument("--server", help="only jobs of this server")
    parser.add_argument("--limit", type=int, default=20)
    parser.add_argument("--json", action="store_true")
