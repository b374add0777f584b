"""The certificate check as Postfix on the server will do it: with the server's own list of authorities."""

import hashlib
import re
import ssl
from collections import OrderedDict

from gateway.proof.scene import Scene
from servers.remote.command import shell
from servers.remote.host import Host, Limits

LIMITS = Limits(total=30, idle=20, output=4_000_000)
NOTE = "The server has no list of certificate authorities yet, so the certificate was checked against the panel's."
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")

# Most servers of a fleet have the same file: it travels and is parsed once (18 ms), and is believed only if it has the
# digest it came under.
_known: OrderedDict[str, ssl.SSLContext] = OrderedDict()


def context(host: Host, scene: Scene, verify: bool) -> tuple[ssl.SSLContext, str]:
    """A TLS client context and a note for a person ("" when there is nothing to say). Raises RemoteError."""
    if not verify:
        made = _context()
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
        return made, "The certificate was not checked: anybody on the way could read the password."
    if scene.digest in _known:
        _known.move_to_end(scene.digest)
        return _known[scene.digest], ""
    made, content = _context(), _bundle(host, scene)
    authorities = b"\n".join(_CERTIFICATE.findall(content)).decode("ascii")
    try:
        made.load_verify_locations(cadata=authorities)
    except (ssl.SSLError, ValueError):  # ValueError: there is none in it
        made.load_default_certs()
        return made, NOTE
    if hashlib.sha256(content).hexdigest() == scene.digest:
        _known[scene.digest] = made
        while len(_known) > 16:
            _known.popitem(last=False)
    return made, ""


def _context() -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    # Python 3.13 turns this on by default; Postfix does not, and company authorities often lack what it asks for.
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return made


def _bundle(host: Host, scene: Scene) -> bytes:
    return host.run(shell("cat", scene.bundle), limits=LIMITS).stdout if scene.bundle else b""
