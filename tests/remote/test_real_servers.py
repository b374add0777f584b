"""The same promises on booted servers: systemd, use_pty sudo, minbase without procps extras, five releases."""

import threading
import time

import pytest

from servers.remote import detached, errors, ssh, stages
from servers.remote.host import Limits, Login, PinnedKey
from servers.remote.journal import Reader
from servers.remote.plan import File, Plan
from servers.remote.secret import Secret
from tests.remote.onserver import fold, step

KILLING = "[Login]\nKillUserProcesses=yes\nKillExcludeUsers=\n"

pytestmark = pytest.mark.fleet


def login(server, user: str = "root", **more) -> Login:
    kind, body = server.host_key.public.split()[:2]
    key = Secret(server.key.private)
    return Login(str(server.address), 22, user, (PinnedKey(kind, body),), private_key=key, **more)


def test_every_stage_of_a_check_is_well(each_server):
    found = stages.check(login(each_server))
    assert {stage.slug: stage.state for stage in found if stage.state not in ("ok", "warn")} == {}
    assert {stage.slug for stage in found if stage.state == "warn"} <= {"mail"}


def test_a_run_is_a_unit_of_its_own_and_leaves_nothing(each_server):
    unit = "systemctl show -p Id,ActiveState fleetpost-t1-run; cat /proc/$PPID/cgroup /proc/self/cgroup"
    plan = Plan((step("look", f'{unit}; wc -c <"$FILES/0"', files=(File("/x", Secret("canary-3381")),)),))
    with ssh.connect(login(each_server)) as host:
        output = host.run(detached.submit_script(plan, "t1", 1, "panel"), limits=detached.limits(plan))
        left = host.run(
            "systemctl list-units --all --no-legend 'fleetpost-*'; grep -rl canary-3381 /var/lib/fleetpost /run"
        )
    progress = fold(output.stdout)
    assert progress.verdict == "succeeded", output
    assert any("fleetpost-t1-run.service" in line for line in progress.steps[0].lines if line.startswith("0::"))
    assert progress.steps[0].lines[-1] == "11"
    assert left.stdout == b""


def test_a_run_survives_its_session_even_where_sessions_are_killed(each_server):
    each_server.run("mkdir -p /etc/systemd/logind.conf.d")
    each_server.run(
        "printf '[Login]\\nKillUserProcesses=yes\\nKillExcludeUsers=\\n' >/etc/systemd/logind.conf.d/t.conf"
    )
    each_server.run("systemctl restart systemd-logind")
    plan = Plan((step("slow", "until test -e /run/released; do sleep 0.1; done; echo late"),))
    reader, submit = Reader(), detached.submit_script(plan, "t1", 1, "panel")

    def cut_at_the_step(data):
        if any(event.kind == "step" for event in reader.feed(data)):
            each_server.run("pkill -KILL -f '^sshd(-session)?: root' || true")

    with ssh.connect(login(each_server)) as host, pytest.raises(errors.LostContact):
        host.run(submit, limits=detached.limits(plan), on_stdout=cut_at_the_step)
    time.sleep(1)  # in which logind would end what belongs to the session
    each_server.run("touch /run/released")
    with ssh.connect(login(each_server)) as host:
        rest = host.run(detached.follow_script("t1", reader.offset), limits=detached.limits(plan))
    assert fold(rest.stdout).verdict == "succeeded"


def test_a_killed_runner_takes_its_step_with_it_and_is_put_back(each_server):
    plan = Plan((step("slow", "sleep 47474", "touch /root/undone"),))
    with ssh.connect(login(each_server)) as host, ssh.connect(login(each_server)) as other:
        begun = "until cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -q 'sleep [4]7474'; do sleep 0.1; done"
        killing = f"{begun}; kill -9 $(systemctl show -p MainPID --value fleetpost-t1-run)"
        threading.Thread(target=other.run, args=(killing,)).start()
        output = host.run(detached.submit_script(plan, "t1", 1, "panel"), limits=Limits(total=30, idle=15))
        assert fold(output.stdout).interrupted
        recovered = host.run(detached.recover_script("t1"), limits=Limits(total=30, idle=15))
        assert fold(recovered.stdout).rolled_back
        said = host.run("ls /root/undone; cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c 'sleep [4]7474'")
    assert said.stdout == b"/root/undone\n0\n"


@pytest.mark.parametrize("variant", ["nopasswd", "password"])
def test_sudo_reaches_root_and_limits_reach_what_runs_under_it(each_server, variant):
    each_server.add_user("mailops", "pass word'$")
    each_server.authorize(each_server.key.public, "mailops")
    each_server.run("usermod -aG sudo mailops")
    each_server.run(f"echo 'mailops ALL=(ALL) {'NOPASSWD: ' if variant == 'nopasswd' else ''}ALL' >/etc/sudoers.d/t")
    with ssh.connect(login(each_server, "mailops", sudo=variant, sudo_password=Secret("pass word'$"))) as host:
        assert host.run("id -u; cat").stdout == b"0\n"
        with pytest.raises(errors.Silent):
            host.run("sleep 58585", limits=Limits(total=20, idle=1))
        assert host.run("cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c 'sleep [5]8585'").stdout == b"0\n"


def test_a_server_gone_silent_is_noticed_within_thirty_seconds(server):
    with ssh.connect(login(server)) as host:
        silent = []
        threading.Timer(0.5, lambda: (server.go_silent(), silent.append(time.monotonic()))).start()
        with pytest.raises(errors.LostContact):
            host.run("sleep 60", limits=Limits(total=90, idle=90))
        noticed = time.monotonic() - silent[0]
        print(f"silence noticed after {noticed:.1f} s")
        assert noticed < 30
