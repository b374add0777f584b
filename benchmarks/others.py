"""Ansible and pyinfra at their best, from an environment of their own (benchmarks/requirements.txt)."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from benchmarks import floor, meter
from benchmarks.states import PEER_MAP, Snapshot
from tests.fleet.fleet import Fleet
from tests.fleet.server import FleetServer

HERE = Path(__file__).parent / "peers"
BIN = Path(os.environ.get("BENCH_VENV", ".venv/bench")).absolute() / "bin"
# Multiplexed connections are Ansible's best way.
SSH_ARGS = " ".join(
    ["-F none", *(f"-o {option}" for option in floor.FAST if not option.startswith("Control"))]
    + ["-o ControlMaster=auto", "-o ControlPersist=15s"]
)
CONFIG = f"""[defaults]
forks = {{forks}}
host_key_checking = False
interpreter_python = /usr/bin/python3
retry_files_enabled = False
local_tmp = {{folder}}/tmp
stdout_callback = ansible.builtin.minimal
[ssh_connection]
pipelining = True
ssh_args = {SSH_ARGS}
control_path_dir = {{folder}}/{{ways}}
"""


class PeerError(Exception):
    """A peer did not do the job."""


class Others:
    """Writes inventories for both, and runs them."""

    def __init__(self, fleet: Fleet, folder: Path):
        self.fleet, self.folder = fleet, folder
        self.places = {server.name: (str(server.address), 22) for server in fleet.servers}
        self.key = str(fleet.directory / "id_ed25519")
        self.runs = 0

    def settle(self, servers: list[FleetServer], states: dict[str, Snapshot]) -> dict[str, dict[str, str]]:
        """The files of each server beside the playbook: {server: {variable: path}}."""
        data = {}
        for server in servers:
            state, folder = states[server.name], self.folder / "files" / server.name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "main.cf").write_text(state.main_cf)
            (folder / "sasl_passwd").write_bytes(state.files[PEER_MAP])
            data[server.name] = {"main_cf": str(folder / "main.cf"), "sasl_passwd": str(folder / "sasl_passwd")}
        return data

    def mails(self, servers: list[FleetServer], sender: str, recipient: str) -> dict[str, dict[str, str]]:
        data = {}
        for server in servers:
            path = self.folder / f"mail-{server.name}.sh"
            path.write_text(floor.mail(server, sender, recipient))
            data[server.name] = {"script": str(path)}
        return data

    def ansible(self, job: str, data: dict[str, dict[str, str]]) -> Callable[[], None]:
        hosts = {}
        for name, variables in data.items():
            address, port = self.places[name]
            where = {"ansible_host": address, "ansible_port": port, "ansible_user": "root"}
            hosts[name] = where | {"ansible_ssh_private_key_file": self.key} | variables
        inventory = self.folder / "inventory.json"
        inventory.write_text(json.dumps({"all": {"hosts": hosts}}))
        config = self.folder / "ansible.cfg"
        self.runs += 1  # each with its own directory of sockets, or it would find the connections of the last
        config.write_text(CONFIG.format(forks=len(hosts), folder=self.folder, ways=f"ssh{self.runs}"))
        argv = [str(BIN / "ansible-playbook"), "-i", str(inventory), str(HERE / f"{job}.yml")]
        return lambda: self._run("ansible", argv, {"ANSIBLE_CONFIG": str(config), "ANSIBLE_HOME": str(self.folder)})

    def pyinfra(self, job: str, data: dict[str, dict[str, str]]) -> Callable[[], None]:
        rows = []
        for name, variables in data.items():
            address, port = self.places[name]
            where = {"ssh_hostname": address, "ssh_port": port, "ssh_user": "root", "ssh_key": self.key}
            rows.append((name, where | {"ssh_strict_host_key_checking": "no"} | variables))
        inventory = self.folder / "inventory.py"
        inventory.write_text(f"servers = {rows!r}\n")
        argv = [str(BIN / "pyinfra"), "-y", "--parallel", str(len(rows)), str(inventory), str(HERE / f"{job}.py")]
        return lambda: self._run("pyinfra", argv, {})

    def _run(self, name: str, argv: list[str], more: dict[str, str]) -> None:
        done = meter.start(
            meter.group(self.fleet.label, f"control-{name}"),
            argv,
            cwd=self.folder,
            env={**os.environ, **more, "PYTHONWARNINGS": "ignore", "HOME": str(self.folder), "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        said = done.communicate()[0].decode(errors="replace")
        if done.returncode:
            raise PeerError(f"{name} ended with {done.returncode}: {said[-1500:]}")
