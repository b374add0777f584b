"""The diagnosis as a job: from the server to the provider, stage by stage, changing nothing and sending nothing."""

from dataclasses import replace

from gateway import gateways, pinpointing, proving, rules, wanted
from gateway.actions import nothing_wanted, with_relay
from gateway.diagnosis import look, path, report, scan
from gateway.diagnosis.values import Verdict
from gateway.diagnosis.verdict import judge
from gateway.models import Gateway, Smarthost
from gateway.postfix.spec import Relay
from gateway.proof import PUBLIC, Proof, Stage, prove
from gateway.proof import scene as scenes
from gateway.proof.scene import Scene
from servers import checking
from servers.jobs.run import Conclusion, Run
from servers.remote.errors import LimitReached
from servers.remote.host import Limits

PATIENCE = 10  # seconds of silence in the conversation


def diagnose(run: Run) -> Conclusion:
    """options: smarthost (id; else what is wanted or in force, else the default where the asker may use it)."""
    gateway = Gateway.objects.of(run.server)
    if asked := run.options.get("smarthost"):
        smarthost = Smarthost.objects.filter(pk=asked).first()
    else:
        smarthost = gateway.wanted or gateway.applied or gateways.fallback(run.job.batch.asked_by)
    if smarthost is None:
        return nothing_wanted()
    return with_relay(run, smarthost, 0, lambda relay: _Diagnosis(run, gateway, smarthost, relay).conclusion())


class _Diagnosis:
    def __init__(self, run: Run, gateway: Gateway, smarthost: Smarthost, relay: Relay):
        self._run, self._gateway, self._smarthost, self._relay = run, gateway, smarthost, relay
        self._preset = rules.preset_of(smarthost.preset)
        self._stages: list[Stage] = []
        self._proof = Proof((), "none")

    def conclusion(self) -> Conclusion:
        scene, found, refused = self._ports()
        if refused is None and not found.words and self._target(found) != "-":
            self._talk(scene, self._target(found))
            if self._installed and self._proof.ok:
                self._postfix()
        blocker = next((stage for stage in self._stages if stage.state == "fail"), None)
        asked = pinpointing.asked(self._run.server, self._smarthost, self._relay, scene)
        verdict = refused or judge(asked, found.seen, blocker, found.words)
        notes = (*self._proof.notes, *report.notes(asked, found.seen))
        result = report.result(asked, found, tuple(self._stages), self._proof, notes, verdict)
        if verdict is None:
            return Conclusion(True, report.fine(asked, tuple(self._stages)), result=result)
        return Conclusion(False, verdict.cause, cause=verdict.slug, hint=verdict.fix, result=result)

    @property
    def _installed(self) -> bool:
        applied = self._gateway.applied
        return applied == self._smarthost and self._gateway.applied_revision == self._smarthost.revision

    def _ports(self) -> tuple[Scene, scan.Scan, Verdict | None]:
        relay = self._relay
        with self._run.step("ports", "Look the name up and try its ports") as step:
            host, ports = self._run.connect(), scan.ports(self._preset, relay.port, relay.tls)
            if forbid := proving.refusal(self._run, self._smarthost):
                scene = scenes.look(host, relay.host)
                for address in scene.addresses:
                    if reason := forbid(address):
                        step.line(f"{relay.host} [{address}]: {reason}")
                        step.failed()
                        self._stages.append(Stage("name", "fail", f"{relay.host} [{address}]: {reason}"))
                        return scene, scan.Scan(), Verdict("address-refused", reason, PUBLIC, "port")
                found = scan.scan(host, relay.host, scene.addresses, ports, report.greeting_name(relay, scene))
            else:
                scene, found, said = look.look(host, relay.host, ports, relay.helo_name)
                checking.learn_cloud(self._run.server, said)
            self._stages += report.reached(relay, scene, found)
            for line in report.table_lines(relay, found):
                step.line(line)
            if any(stage.state == "fail" for stage in self._stages):
                step.failed()
        return scene, found, None

    def _target(self, found: scan.Scan) -> str:
        """The address that answered on the chosen port; "" when nothing is known, "-" when none did."""
        chosen = [one for one in found.seen if one.port == self._relay.port]
        return next((one.address for one in chosen if one.state == "open"), "-" if chosen else "")

    def _talk(self, scene: Scene, target: str) -> None:
        address, host = self._relay.probe_address, self._run.connect()
        with self._run.step("talk", "Talk to the provider") as step:

            def told(stage: Stage) -> None:
                if stage.name == "greeting" and self._installed:
                    host.prepare()  # for Postfix's own way, which comes next
                if target and stage.name in ("name", "tcp"):
                    return  # the scan told it already
                if (stage.name, stage.state) == ("name", "ok"):  # beside their name, addresses are hidden with it
                    stage = replace(stage, evidence=f"{self._relay.host} [{stage.evidence}]")
                self._stages.append(stage)
                step.line(f"{stage.title}: {stage.state}. {stage.evidence}".strip())

            self._proof = prove(
                host,
                self._relay,
                sender=address,
                recipient=address,
                preset=self._preset.slug,
                on_stage=told,
                refuse=proving.refusal(self._run, self._smarthost),
                patience=PATIENCE,
                scene=scene,
                target=target,
            )
            for note in self._proof.notes:
                step.line(note)
            if not self._proof.ok:
                step.failed()

    def _postfix(self) -> None:
        with self._run.step("path", "Ask Postfix to go the same way, without sending") as step:
            source = self._gateway.observed.get("log_source") or "journal"
            allowance = wanted.allowance(self._gateway)
            wait, may = path.WAIT + allowance.delay, allowance.each if allowance.delay else ""
            text = path.script(self._relay.probe_address, source, wait)
            try:
                output = self._run.connect().run(text, limits=Limits(total=wait + 20, idle=wait + 10))
                lines, seconds = output.text().splitlines(), output.seconds
            except LimitReached:
                lines, seconds = [], wait
            stage = path.stage([self._run.masked(line) for line in lines], self._preset.slug, seconds, wait, may)
            self._stages.append(stage)
            for line in lines:
                step.line(line)
            if stage.state == "fail":
                step.failed()
