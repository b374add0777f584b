"""What `make bench` makes of its rows: medians, ratios, targets. Nothing here measures."""

from dataclasses import replace

import pytest

from benchmarks import look_domains
from benchmarks.__main__ import MARKS, PAGE, looks_page
from benchmarks.results import Row, Target, between, explained, measured_table, middles, target_table, targets
from servers.remote.addresses import is_public

ABOUT = ("when", "commit", "cores", "kernel", "python", "django", "paramiko")


def row(
    tool: str, wall: float, *, job: str = "reconfigure", rtt: int = 0, number: int = 0, control: float = 1.0
) -> Row:
    return Row(job, 20, rtt, tool, number, wall, control, machines=40.0, turns=9.0 if rtt else None)


def test_a_figure_is_the_median_of_its_rounds_and_machines_count_per_server():
    (found,) = middles([row("floor", wall, number=at) for at, wall in enumerate((1.0, 9.0, 2.0))])
    assert (found.wall, found.rounds, found.machines, found.turns) == (2.0, 3, 2.0, None)


def test_distances_and_jobs_are_never_mixed():
    found = middles([row("floor", 1.0), row("floor", 5.0, rtt=80), row("floor", 7.0, job="unchanged")])
    assert [(m.job, m.rtt, m.wall) for m in found] == [
        ("reconfigure", 0, 1.0),
        ("reconfigure", 80, 5.0),
        ("unchanged", 0, 7.0),
    ]


@pytest.mark.parametrize(
    ("rtt", "ansible", "met"), [(0, 3.0, True), (0, 2.9, False), (80, 4.9, False), (80, 5.0, True)]
)
def test_reconfiguring_must_beat_ansible_by_three_and_by_five_far_away(rtt, ansible, met):
    judged = targets(middles([row("fleetpost", 1.0, rtt=rtt), row("ansible", ansible, rtt=rtt)]))
    assert [target.met for target in judged if "wall" in target.name] == [met]


def test_every_limit_of_the_issue_is_judged_for_the_second_run():
    walls = {"fleetpost": 1.3, "floor": 1.0, "ansible": 26.0}
    judged = targets(middles([row(tool, wall, job="unchanged") for tool, wall in walls.items()]))
    assert [(target.target, target.met) for target in judged] == [
        ("≤ 1.3", True),
        ("≥ 20.0", True),
        ("≤ 3.0", True),
        ("≥ 8.0", False),
    ]


def test_a_tool_that_failed_leaves_its_rows_out_and_the_others_in():
    table = measured_table(middles([row("fleetpost", 2.0), row("pyinfra", 3.0)]))
    assert "| Fleetpost | 1 | 2.00 | – |" in table and "Ansible" not in table


def test_a_target_out_of_reach_stays_with_its_reason():
    missed, met = Target("Reconfigure: wall", "≤ 1", 2.0, "×", False), Target("Reconfigure: CPU", "≤ 1", 0.5, "×", True)
    first, second = explained([missed, met], {"Reconfigure": "apt waits"})
    assert "**not met**: apt waits" in target_table([first]) and second.note == ""
    (noted,) = explained([replace(missed, note="2 rounds")], {"Reconfigure": "apt waits"})
    assert noted.note == "2 rounds; apt waits"


def test_what_nobody_asked_for_is_neither_met_nor_missed():
    plain = Target("Memory", "–", 80.0, "MB", None)
    assert explained([plain], {"Memory": "why"}) == [plain] and "met" not in target_table([plain]).splitlines()[-1]


def test_only_the_marked_part_of_the_page_is_written():
    page = "# Ours\n<!-- measured -->\nold\n<!-- /measured -->\nmore\n"
    assert between(page, "measured", "new\n") == "# Ours\n<!-- measured -->\nnew\n<!-- /measured -->\nmore\n"
    with pytest.raises(ValueError, match="measured"):
        between("# Ours\n", "measured", "new")


def test_the_page_has_a_place_for_every_part_that_is_written():
    text = PAGE.read_text()
    for mark in MARKS.values():
        other = next(one for one in MARKS.values() if one != mark)
        written = between(text, mark, "new")
        assert f"<!-- {mark} -->\nnew\n<!-- /{mark} -->" in written
        assert f"<!-- {other} -->\nnew" not in written


def test_a_part_that_could_not_be_measured_says_why_and_is_no_miss():
    missing = Target("diagnosis", "", "not measured", "", None, "not root")
    assert "| not measured  | –: not root |" in looks_page([missing], dict.fromkeys(ABOUT, "1"))


def test_checks_of_domains_are_measured_with_the_zones_own_server_asked():
    assert is_public(look_domains.SOURCE)
