"""Whose cloud a server stands in: told by its firmware, or not at all."""

import json
import subprocess
from pathlib import Path

import pytest

from servers.models import Server
from servers.remote import cloud, facts
from tests.remote.test_facts import stdout

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/dmi.json").read_text())


@pytest.mark.parametrize(("slug", "of", "dmi"), GOLDEN, ids=[f"{slug} {of}".strip() for slug, of, _ in GOLDEN])
def test_a_cloud_is_known_by_its_own_name_and_by_nothing_else(slug, of, dmi):
    assert cloud.recognise(dmi) == slug


def test_every_cloud_has_a_golden_line_a_label_and_room_in_its_column():
    assert {slug for slug, _, _ in GOLDEN} - {""} == set(cloud.LABELS)
    assert max(map(len, cloud.LABELS)) <= Server._meta.get_field("cloud").max_length
    assert cloud.label("") == cloud.label("nobody") == ""


def test_the_script_reads_what_is_there_and_says_nothing_else(tmp_path):
    (tmp_path / "sys_vendor").write_text("Hetzner\n")
    (tmp_path / "product_name").write_text("vServer: a: b\n")
    (tmp_path / "chassis_asset_tag").write_text("\n")
    script = cloud.SCRIPT.replace("/sys/class/dmi/id", str(tmp_path))
    ran = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    assert cloud.read(ran.stdout) == {"sys_vendor": "Hetzner", "product_name": "vServer: a: b"}
    assert not ran.stderr


def test_a_machine_without_firmware_tables_is_unknown(tmp_path):
    script = cloud.SCRIPT.replace("/sys/class/dmi/id", str(tmp_path / "absent"))
    ran = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    assert cloud.recognise(cloud.read(ran.stdout)) == ""


def test_a_container_does_not_stand_where_its_host_does():
    said = {"dmi": "sys_vendor:Amazon EC2\nproduct_name:m5.large\n"}
    assert facts.parse_server(stdout(said)).cloud == "aws"
    assert facts.parse_server(stdout(said | {"container": "lxc\n"})).cloud == ""


def test_hostile_firmware_names_nobody():
    for text in ("*", "[Hh]etzner", "Amazon EC2\x1b[2J", "Amazon EC2" * 1000):
        assert cloud.recognise({"sys_vendor": text, "chassis_asset_tag": text}) == ""
