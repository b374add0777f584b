import pytest

from servers.remote import ssh
from tests.remote.sshd import Sshd, missing


@pytest.fixture(scope="session")
def sshd(tmp_path_factory):
    if missing():
        pytest.skip(missing())
    daemon = Sshd(tmp_path_factory.mktemp("sshd"), kinds=("ed25519", "ecdsa", "rsa")).start()
    yield daemon
    daemon.stop()


@pytest.fixture
def own_sshd(tmp_path):
    """Starts sshd variants: own_sshd(extra config, kinds=…); each is stopped after the test."""
    if missing():
        pytest.skip(missing())
    started = []

    def start(extra: str = "", **options) -> Sshd:
        folder = tmp_path / f"sshd{len(started)}"
        folder.mkdir()
        started.append(Sshd(folder, extra, **options).start())
        return started[-1]

    yield start
    for daemon in started:
        daemon.stop()


@pytest.fixture
def host(sshd):
    with ssh.connect(sshd.login()) as open_host:
        yield open_host
