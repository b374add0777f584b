"""The fake servers understand what the panel really sends: measured is the real path, not a refusal."""

from servers.remote import detached, keypair, ssh, stages
from servers.remote.host import Limits, Login, PinnedKey
from servers.remote.journal import Progress, Reader
from servers.remote.plan import File, Plan, Step
from servers.remote.secret import Secret
from tests.fakefleet import PIN, Fake, Fleet


def login(server: Fake, private: Secret) -> Login:
    pins = (PinnedKey("ssh-ed25519", PIN),)
    return Login(address=server.address, port=server.port, user="root", pinned=pins, private_key=private)


def test_each_kind_of_server_gives_the_panel_its_verdict():
    private, _ = keypair.generate("test")
    with Fleet(ok=1, slow=1, lie=1, mute=1, drop=1, refuse=1, delay=0.1) as fleet:
        found = {}
        for server in fleet.servers:
            checked = stages.check(login(server, private), limits=Limits(total=3, idle=1))
            found[server.kind] = next((stage.slug for stage in checked if stage.state != "ok"), "")
    assert found == {"ok": "", "slow": "", "lie": "system", "mute": "ssh", "drop": "tcp", "refuse": "tcp"}


def test_a_detached_run_is_taken_once_followed_from_any_byte_and_fenced():
    private, _ = keypair.generate("test")
    steps = (
        Step("one", "One", do="sleep 0.1"),
        Step("two", "Two", do="true", files=(File("/n", Secret("note"), 0o600),)),
    )
    with Fleet(ok=1) as fleet, ssh.connect(login(fleet.servers[0], private)) as host:
        journal = host.run(detached.submit_script(Plan(steps=steps), "token-1", 7, "panel")).stdout
        progress = Progress()
        for event in Reader().feed(journal):
            progress.apply(event)
        assert (progress.verdict, [step.slug for step in progress.steps]) == ("succeeded", ["one", "two"])
        assert host.run(detached.submit_script(Plan(steps=steps), "token-1", 8, "panel")).stdout == journal
        assert host.run(detached.follow_script("token-1", 20)).stdout == journal[20:]
        assert (
            host.run(detached.submit_script(Plan(steps=steps), "token-2", 6, "panel")).stdout == b"~refused fence 7\n"
        )
        assert host.run("cat /n/note 2>/dev/null || true").stdout == b"note"
        (ledger,) = fleet.ledger()
    assert (ledger["refused"], [run["verdict"] for run in ledger["runs"]]) == (1, ["succeeded"])
