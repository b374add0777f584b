"""Scene, cloud and scan in one script: each script of its own is two or three waits for a server far away."""

import time

from gateway.diagnosis import scan
from gateway.diagnosis.scan import Scan
from gateway.proof import scene
from gateway.proof.scene import Scene
from servers.remote import facts
from servers.remote.host import Host


def look(host: Host, name: str, ports: dict[int, str], helo: str) -> tuple[Scene, Scan, bytes]:
    """Tries whatever addresses the name has, so only where every address may be contacted. helo: "" is the server's own
    name. The third is what it said to `facts.cloud_parts`. Raises RemoteError."""
    parts = {"ports": scan.script(name, None, ports, helo)} | facts.cloud_parts() | scene.parts(name)
    stdout = host.run(facts.section_script(parts), limits=scan.LIMITS).stdout
    now = time.time()
    found = scan.parse(facts.sections(stdout).get("ports", b""))
    return scene.read(stdout, now, found.ms), found, stdout
