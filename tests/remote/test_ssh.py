"""Connections to a real sshd: who is trusted, what is refused, and with which words."""

import os
import signal
import socket
import threading
import time
from dataclasses import replace

import pytest

from servers.remote import errors, ssh
from servers.remote.host import Limits, PinnedKey
from servers.remote.secret import Secret
from tests.fleet.delay import LISTEN, Links
from tests.ports import free_port
from tests.remote.onserver import odd_sleep, processes, wait_for
from tests.remote.sshd import PASSWORD_SECRET


def test_a_script_runs_as_root_and_says_how_it_ended(host):
    output = host.run("echo out; echo err >&2; id -u; exit 3")
    assert (output.stdout, output.stderr, output.status, output.truncated) == (b"out\n0\n", b"err\n", 3, False)


def test_a_secret_script_travels_too(host):
    assert host.run(Secret("printf '%s' 'pa$$'")).stdout == b"pa$$"


def test_a_script_keeps_its_heredocs_quotes_and_empty_stdin(host):
    script = "cat <<'E'\n$x '\"\\\nE\ncat; echo \"$#\"; set -u; f() { echo \"$1\"; }; f 'a b'"
    assert host.run(script).stdout == b"$x '\"\\\n0\na b\n"


def test_a_script_with_nul_is_refused(host):
    with pytest.raises(ValueError, match="NUL"):
        host.run("echo \0")


def test_half_a_script_never_runs(host, tmp_path, monkeypatch):
    monkeypatch.setattr("servers.remote.door._END", b"")
    with pytest.raises(errors.LostContact, match="whole"):
        host.run(f"touch {tmp_path}/ran")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(("script", "status"), [("kill -9 $$", 137), ("kill -TERM $$", 143)])
def test_a_killed_command_reports_its_signal(host, script, status):
    assert host.run(script).status == status


def test_a_daemon_left_behind_does_not_hold_the_result(host):
    nap = odd_sleep()
    assert host.run(f"{nap} & echo done").stdout == b"done\n"
    assert (left := processes(nap))
    for pid in left:
        os.kill(pid, signal.SIGKILL)


def test_raw_bytes_arrive_as_they_come(host, tmp_path):
    pieces, heard = [], tmp_path / "heard"

    def hear(data):
        pieces.append(data)
        heard.touch()

    script = f"printf '\\377\\000a'; while ! test -e {heard}; do sleep 0.02; done; echo b"
    output = host.run(script, on_stdout=hear)
    assert b"".join(pieces) == output.stdout == b"\xff\0ab\n"
    assert len(pieces) >= 2


def test_an_exception_in_the_listener_ends_the_command(host):
    def stop(data):
        raise KeyError("enough")

    nap = odd_sleep()
    with pytest.raises(KeyError):
        host.run(f"echo x; exec {nap}", on_stdout=stop)
    assert processes(nap) == []


def test_a_changed_host_key_stops_before_any_credential(own_sshd):
    daemon = own_sshd()
    pinned = daemon.pin()
    daemon.stop()
    daemon.new_keys()
    (daemon.folder / "log").unlink()
    daemon.start()
    with pytest.raises(errors.HostKeyChanged) as caught:
        ssh.connect(daemon.login(pinned=(pinned,), password=PASSWORD_SECRET))
    assert caught.value.offered == daemon.pin()
    wait_for(lambda: "preauth" in daemon.log())
    log = daemon.log()
    assert "Connection from" in log
    for word in ("Failed", "Accepted", "Postponed", "userauth", "for root", "invalid user"):
        assert word not in log


def test_a_host_key_of_another_kind_is_a_changed_key(own_sshd):
    daemon = own_sshd(kinds=("ecdsa",))
    with pytest.raises(errors.HostKeyChanged) as caught:
        ssh.connect(daemon.login(pinned=(daemon.pin("ed25519"),)))
    assert caught.value.offered == daemon.pin("ecdsa")
    assert "for root" not in daemon.log()


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_server_with_several_keys_shows_the_pinned_one(sshd, kind):
    with ssh.connect(sshd.login(pinned=(sshd.pin(kind),))) as host:
        assert host.run("echo x").stdout == b"x\n"


def test_an_unknown_host_key_is_shown_not_trusted(sshd):
    with pytest.raises(errors.HostKeyUnknown) as caught:
        ssh.connect(sshd.login(pinned=()))
    assert caught.value.offered == sshd.pin("ed25519")


def test_all_host_keys_are_read_without_signing_in(sshd):
    assert ssh.offered_keys("127.0.0.1", sshd.port) == [sshd.pin(kind) for kind in ("ed25519", "ecdsa", "rsa")]


def test_sign_in_refusals_name_what_was_tried(sshd):
    with pytest.raises(errors.SignInRefused, match="with this password"):
        ssh.connect(sshd.login(private_key=None, password=Secret("wrong")))
    with pytest.raises(errors.SignInRefused, match="No key and no password"):
        ssh.connect(sshd.login(private_key=None))
    with pytest.raises(errors.KeyUnusable):
        ssh.connect(sshd.login(private_key=Secret("not a key")))


def test_a_password_signs_in_when_the_key_does_not(sshd):
    login = sshd.login("plain", private_key=None, password=PASSWORD_SECRET)
    with ssh.connect(login) as host, pytest.raises(errors.RootRefused, match="plain, who is not root"):
        host.run("true")


def test_every_dead_end_has_its_own_cause(sshd):
    with pytest.raises(errors.ConnectRefused):
        ssh.connect(sshd.login(port=free_port()))
    with pytest.raises(errors.NameNotFound):
        ssh.connect(sshd.login(address="nosuch.invalid"))
    with pytest.raises(errors.NameNotFound):
        ssh.connect(sshd.login(address="a" * 300))


def answering(reply: bytes, keep: bool):
    """A listener that answers each connection with `reply` and then keeps or closes it."""
    server = socket.create_server(("127.0.0.1", 0))
    held = []

    def serve():
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            client.sendall(reply)
            if keep:
                held.append(client)
            else:
                client.close()

    threading.Thread(target=serve, daemon=True).start()
    return server


@pytest.mark.parametrize(
    ("reply", "keep", "cause"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", False, errors.NotSsh),
        (b"220 mail ESMTP\r\n", True, errors.NotSsh),
        (b"", True, errors.NoGreeting),
        (b"", False, errors.ClosedEarly),
        (b"Exceeded MaxStartups\r\n", False, errors.ClosedEarly),
        (b"SSH-2.0-half", False, errors.ClosedEarly),
        (b"SSH-1.5-old\r\n", True, errors.TooOld),
        (b"SSH-2.0-silent\r\n", True, errors.NoGreeting),
    ],
)
def test_what_answers_instead_of_ssh_is_named(sshd, reply, keep, cause):
    with answering(reply, keep) as server, pytest.raises(cause):
        ssh.connect(sshd.login(port=server.getsockname()[1]), limits=Limits(total=10, idle=1.5))


def test_only_old_ciphers_are_too_old(own_sshd):
    daemon = own_sshd("Ciphers aes256-cbc\nMACs hmac-sha1")
    with pytest.raises(errors.TooOld):
        ssh.connect(daemon.login())


def test_a_forced_command_never_sees_the_script(own_sshd, tmp_path):
    daemon = own_sshd(f"ForceCommand sh -c 'cat >{tmp_path}/seen; echo Please login as the user ubuntu'")
    with ssh.connect(daemon.login()) as host, pytest.raises((errors.ShellRefused, errors.SessionRefused)):
        host.run("echo SECRET", limits=Limits(total=3, idle=2))
    wait_for(lambda: not daemon.sessions())
    assert (tmp_path / "seen").read_text() == ""


def test_jump_servers_are_pinned_too(sshd, own_sshd):
    inner = own_sshd()
    with ssh.connect(inner.login(jump=sshd.login())) as host:
        assert host.run("echo through").stdout == b"through\n"
    with pytest.raises(errors.HostKeyChanged, match="Jump server"):
        ssh.connect(inner.login(jump=sshd.login(pinned=(PinnedKey("ssh-ed25519", "AAAA"),))))
    with pytest.raises(errors.TunnelRefused):
        ssh.connect(inner.login(port=free_port(), jump=sshd.login()))


def test_a_script_after_the_second_waits_for_the_server_less_often(sshd):
    login, counted = sshd.login(), []
    with Links({"it": (login.address, login.port)}, 0.02) as links:
        far = replace(login, address=LISTEN, port=links.ports["it"])
        with ssh.connect(far) as host:
            for number in range(8):  # on a busy machine the channel opened ahead is sometimes still under way
                links.turns()
                assert host.run(f"echo {number}").stdout == b"%d\n" % number
                counted.append(links.turns()["it"])
    assert min(counted[2:]) < counted[0], counted


def test_a_prepared_script_waits_for_its_own_answer_alone(sshd):
    login, counted = sshd.login(), []
    with Links({"it": (login.address, login.port)}, 0.02) as links:
        far = replace(login, address=LISTEN, port=links.ports["it"])
        with ssh.connect(far) as host:
            for number in range(4):
                host.run(":")
                host.prepare()
                time.sleep(0.5)
                links.turns()
                assert host.run(f"echo {number}").stdout == b"%d\n" % number
                counted.append(links.turns()["it"])
    assert min(counted) == 1, counted


def test_what_was_prepared_may_stay_unused_or_be_refused(own_sshd):
    with ssh.connect(own_sshd("MaxSessions 1").login()) as host:
        host.prepare()
        host.prepare()
        assert [host.run(f"echo {number}").stdout for number in range(2)] == [b"0\n", b"1\n"]
        host.prepare()


def test_a_server_that_allows_one_session_at_a_time_takes_script_after_script(own_sshd):
    with ssh.connect(own_sshd("MaxSessions 1").login()) as host:
        assert [host.run(f"echo {number}").stdout for number in range(4)] == [b"0\n", b"1\n", b"2\n", b"3\n"]
