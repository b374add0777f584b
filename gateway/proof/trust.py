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

# Most servers of a fleet have the same file: it travels once, and is believed only if it has the digest it came under.
_known: OrderedDict[str, str] = OrderedDict()


def context(host: Host, scene: Scene, verify: bool) -> tuple[ssl.SSLContext, str]:
    """A TLS client context and a note for a person ("" when there is nothing to say). Raises RemoteError."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    # Python 3.13 turns this on by default; Postfix does not, and company authorities often lack what it asks for.
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
        return made, "The certificate was not checked: anybody on the way could read the password."
    authorities = _authorities(host, scene)
    if authorities:
        try:
            made.load_verify_locations(cadata=authorities)
        except ssl.SSLError:
            authorities = ""
    if not authorities:
        made.load_default_certs()
        return made, NOTE
    return made, ""


def _authorities(host: Host, scene: Scene) -> str:
    if not scene.bundle:
        return ""
    if scene.digest in _known:
        _known.move_to_end(scene.digest)
        return _known[scene.digest]
    content = host.run(shell("cat", scene.bundle), limits=LIMITS).stdout
    authorities = b"\n".join(_CERTIFICATE.findall(content)).decode("ascii")
    if hashlib.sha256(content).hexdigest() == scene.digest:
        _known[scene.digest] = authorities
        while len(_known) > 16:
            _known.popitem(last=False)
    return authorities
