"""Why no root shell answered, from what servers really print."""

import pytest

from servers.remote import door, errors
from servers.remote.host import Login, PinnedKey
from servers.remote.secret import Secret

LOGIN = Login("host", 22, "ops", (PinnedKey("ssh-ed25519", "AAAA"),), sudo="password", sudo_password=Secret("x"))

SAID = [
    (b"", b"sudo: a password is required\n", errors.SudoPasswordNeeded),
    (b"", b"sudo: a terminal is required to read the password; either use the -S option\n", errors.SudoPasswordNeeded),
    (b"", b"sudo: sorry, you must have a tty to run sudo\n", errors.SudoNeedsTerminal),
    (b"", b"ops is not in the sudoers file.\nThis incident has been reported\n", errors.SudoNotAllowed),
    (b"", b"Sorry, user ops is not allowed to execute '/bin/sh' as root on relay.\n", errors.SudoNotAllowed),
    (b"", b"Sorry, user ops may not run sudo on relay.\n", errors.SudoNotAllowed),
    (b"", b"env: 'sudo': No such file or directory\n", errors.SudoMissing),
    (b"", b"env: \xe2\x80\x98sudo\xe2\x80\x99: No such file or directory\n", errors.SudoMissing),
    (b"", b"sh: 1: sudo: not found\n", errors.SudoMissing),
    (b"", b"sudo: Account or password is expired, reset your password and try again\n", errors.AccountExpired),
    (
        b"",
        b"WARNING: Your password has expired.\nPassword change required but no TTY available.\n",
        errors.AccountExpired,
    ),
    (b"fleetpost-not-root\n", b"", errors.RootRefused),
    (b'Please login as the user "ubuntu" rather than the user "root".\n\n', b"", errors.ShellRefused),
    (b"This account is currently not available.\n", b"", errors.ShellRefused),
]


@pytest.mark.parametrize(("stdout", "stderr", "cause"), SAID)
def test_each_refusal_has_its_cause(stdout, stderr, cause):
    assert type(door.refusal(LOGIN, stdout, stderr)) is cause


def test_a_fixed_command_is_quoted_in_the_message():
    assert 'user "ubuntu"' in str(door.refusal(LOGIN, SAID[-2][0], b""))


def test_the_greeting_is_found_behind_noise():
    assert door.ready(b"Welcome!\nfleetpost-root 77\nrest") == (77, b"rest")
    assert door.ready(b"fleetpost-root 7") is None


def test_the_exec_text_holds_nothing_of_the_login():
    for sudo in ("none", "nopasswd", "password"):
        text = door.command(Login("h", 22, "ops", (), sudo=sudo, sudo_password=Secret("hunter2")))
        assert "hunter2" not in text
        assert "ops" not in text


def test_prompts_of_other_pam_modules_are_seen():
    assert door.asks(b"LDAP Password: ")
    assert not door.asks(b"Your password: will expire in 3 days\n")


def test_every_error_has_words_a_cause_and_a_next_move():
    for cause in vars(errors).values():
        if isinstance(cause, type) and issubclass(cause, errors.RemoteError) and cause is not errors.RemoteError:
            assert str(cause()).endswith(".")
            assert cause.cause != "remote"
