import pytest

from gateway.proof import scene, trust
from tests.gateway.proof.localhost import Authority, LocalHost, Provider


@pytest.fixture(scope="session")
def authority():
    return Authority()


@pytest.fixture(autouse=True)
def bundle(request, authority, tmp_path, monkeypatch):
    """The server's list of authorities holds the test's own; real servers keep theirs."""
    if request.node.get_closest_marker("fleet"):
        return None
    path = tmp_path / "ca-certificates.crt"
    path.write_bytes(b"# \xc3\xbc comment\n" + authority.pem)
    monkeypatch.setattr(scene, "BUNDLES", (str(path),))
    trust._known.clear()
    return path


@pytest.fixture(params=["tunnel", "server"])
def host(request):
    """Both ways to talk: through a tunnel, and with the server's own bash and openssl."""
    host = LocalHost(forbidden=request.param == "server")
    host.way = request.param
    return host


@pytest.fixture
def provider(authority, tmp_path):
    """Starts SMTP servers: provider("localhost", days=30, implicit=False, …)."""
    running = []

    def start(*names, days=30, by=authority, plain=False, **options):
        context = None if plain else by.server_context(tmp_path, *(names or ("localhost",)), days=days)
        server = Provider(context, **options)
        server.start()
        running.append(server)
        return server

    yield start
    for server in running:
        server.stop()
