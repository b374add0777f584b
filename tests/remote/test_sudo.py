import shutil
import time

import pytest

from servers.remote import errors, ssh
from servers.remote.host import Limits
from servers.remote.secret import Secret
from tests.remote.onserver import odd_sleep, processes
from tests.remote.sshd import PASSWORD_SECRET

pytestmark = pytest.mark.skipif(not shutil.which("sudo"), reason="sudo is not installed")


def answer(sshd, user: str, sudo: str, password: Secret | None = None) -> bytes:
    with ssh.connect(sshd.login(user, sudo=sudo, sudo_password=password)) as host:
        return host.run("id -u; cat; env").stdout


@pytest.mark.parametrize(
    ("user", "sudo", "password"),
    [("free", "nopasswd", None), ("asked", "password", PASSWORD_SECRET), ("free", "password", PASSWORD_SECRET)],
)
def test_root_is_reached_and_the_script_reads_no_password(sshd, user, sudo, password):
    said = answer(sshd, user, sudo, password)
    assert said.startswith(b"0\n")
    assert PASSWORD_SECRET.reveal() not in said


@pytest.mark.parametrize(
    ("user", "sudo", "password", "cause"),
    [
        ("asked", "password", Secret("wrong"), errors.SudoPasswordWrong),
        ("asked", "password", None, errors.SudoPasswordNeeded),
        ("asked", "nopasswd", None, errors.SudoPasswordNeeded),
        ("plain", "password", PASSWORD_SECRET, errors.SudoNotAllowed),
        ("noterm", "nopasswd", None, errors.SudoNeedsTerminal),
        ("expired", "nopasswd", None, errors.AccountExpired),
        ("plain", "none", None, errors.RootRefused),
    ],
)
def test_each_refusal_is_named_within_five_seconds(sshd, user, sudo, password, cause):
    started = time.monotonic()
    with pytest.raises(cause) as caught:
        answer(sshd, user, sudo, password)
    assert type(caught.value) is cause
    assert time.monotonic() - started < 5


def test_many_runs_on_one_connection_ask_each_time(sshd):
    with ssh.connect(sshd.login("asked", sudo="password", sudo_password=PASSWORD_SECRET)) as host:
        assert [host.run("id -u; cat").stdout for _ in range(3)] == [b"0\n"] * 3


def test_a_limit_ends_what_runs_under_sudo(sshd):
    nap = odd_sleep()
    with ssh.connect(sshd.login("free", sudo="nopasswd")) as other, pytest.raises(errors.Silent):
        other.run(nap, limits=Limits(total=20, idle=1))
    assert processes(nap) == []
