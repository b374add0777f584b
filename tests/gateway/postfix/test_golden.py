"""Facts and wishes to steps, log lines to events. To accept what the code now says, look at the difference of
`UPDATE_GOLDEN=1 pytest tests/gateway/postfix/test_golden.py` before committing it.
"""

import json
import os
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path

import pytest

from gateway.postfix import logline
from gateway.postfix.plan import plan
from gateway.postfix.spec import Relay, Wanted
from gateway.postfix.state import Facts, MapDir, Space
from gateway.providers import presets
from gateway.providers.limits import share as limits_of
from servers.remote.plan import Plan
from servers.remote.secret import Secret

GOLDEN = Path(__file__).with_name("golden")
PLANS = sorted((GOLDEN / "plans").glob("*.json"))
KEY = b"golden key"


def compare(path: Path, expected, got, whole) -> None:
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
    else:
        assert got == expected, path.name


def test_log_lines():
    path = GOLDEN / "lines.json"
    cases = json.loads(path.read_text())
    got = [{"line": case["line"], "event": shortened(logline.parse(case["line"]))} for case in cases]
    compare(path, cases, got, got)


def shortened(event: logline.Event | None) -> dict | None:
    if event is None:
        return None
    fields = json.loads(json.dumps(asdict(event)))
    return {name: value for name, value in fields.items() if value not in ("", None, [])}


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_plans(path):
    case = json.loads(path.read_text())
    answer = shown(plan(facts(case["facts"]), wanted(case["wanted"]), KEY))
    assert "p$a:ss" not in json.dumps(answer)
    compare(path, case.get("plan"), answer, {**case, "plan": answer})


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_a_plan_carried_out_leaves_an_empty_plan(path):
    case = json.loads(path.read_text())
    before, wish = facts(case["facts"]), wanted(case["wanted"])
    first = plan(before, wish, KEY)
    if wish.relay and not first.refusals:
        assert plan(after(before, first), wish, KEY).empty


def facts(values: dict) -> Facts:
    text = {name: values[name].encode() for name in ("main_cf", "master_cf", "before_cf") if values.get(name)}
    rows = {name: tuple(values.get(name, ())) for name in ("readonly", "mtas", "listeners", "added", "log_files")}
    space = tuple(Space(*row) for row in values["space"])
    return Facts(**{**values, **text, **rows, "space": space})


def wanted(values: dict) -> Wanted:
    relay = values["relay"]
    if relay is None:
        return Wanted(None)
    password = Secret(relay["password"]) if relay.get("password") else None
    share = values.get("share")
    limits = limits_of(presets.get(share["preset"]), share["servers"]).parameters if share else {}
    found = Relay(**{**relay, "password": password}, limits=tuple(limits.items()))
    return Wanted(found, replace_mta=values.get("replace_mta", False))


def shown(answer: Plan) -> dict:
    return {
        "refusals": [asdict(refusal) for refusal in answer.refusals],
        "notes": list(answer.notes),
        "steps": [[step.title, *step.show] for step in answer.steps],
        "restarts": answer.restarts,
        "diffs": {name: text.splitlines() for name, text in answer.diffs.items()},
    }


def after(before: Facts, done: Plan) -> Facts:
    """The server as a faithful run of the plan would leave it."""
    files = {step.slug: step.files for step in done.steps}
    rows = sorted((file.path.rpartition("/")[2], content(file)) for file in files["maps"])
    whole = b"".join(text for _, text in rows)
    listed = {name: ("600", "root", len(text)) for name, text in rows}
    directory = files["maps"][0].path.split("/")[-2]
    digest, seal = (sha256(salt.encode() + whole).hexdigest() for salt in (before.nonce, directory))
    packages = dict.fromkeys(before.distro.packages, "1") if "packages" in files else {}
    return replace(
        before,
        packages={**before.packages, **packages},
        mtas=(),
        main_cf=files["configure"][0].content,
        manifest=json.loads(files["configure"][1].content),
        maps=(MapDir(directory, "700", "root", listed, digest, seal),),
        running=True,
        enabled=True,
    )


def content(file) -> bytes:
    return file.content.reveal() if isinstance(file.content, Secret) else file.content


def test_uninstall_of_a_kept_postfix_restores_and_reloads():
    case = json.loads((GOLDEN / "plans/kept-postfix.json").read_text())
    before, wish = facts(case["facts"]), wanted(case["wanted"])
    installed = replace(after(before, plan(before, wish, KEY)), before_cf=before.main_cf, record=("main.cf",))
    undone = plan(replace(installed, queued=3), Wanted(None), KEY)
    assert [step.slug for step in undone.steps] == ["configure", "service", "forget"] and not undone.refusals
    assert "-relayhost = [smtp.provider.test]:587" in undone.diffs["/etc/postfix/main.cf"]
    edited = replace(installed, main_cf=installed.main_cf + b"mine = 1\n")
    assert plan(edited, wish, KEY).empty
    by_hand = plan(edited, Wanted(None), KEY)
    assert by_hand.steps[0].files[0].content == before.main_cf + b"mine = 1\n" and by_hand.notes


def test_uninstall_of_our_own_postfix_asks_about_its_queue():
    case = json.loads((GOLDEN / "plans/clean-debian12.json").read_text())
    before, wish = facts(case["facts"]), wanted(case["wanted"])
    installed = replace(after(before, plan(before, wish, KEY)), added=("postfix", "ssl-cert"), record=("packages",))
    assert [step.slug for step in plan(installed, Wanted(None), KEY).steps] == ["packages", "forget"]
    waiting = replace(installed, queued=2)
    assert plan(waiting, Wanted(None), KEY).refusals[0].cause == "queued-mail"
    assert not plan(waiting, Wanted(None, purge_queue=True), KEY).refusals


def test_force_writes_everything_again():
    case = json.loads((GOLDEN / "plans/clean-debian12.json").read_text())
    before, wish = facts(case["facts"]), wanted(case["wanted"])
    installed = after(before, plan(before, wish, KEY))
    again = plan(installed, replace(wish, force=True), KEY)
    assert [step.slug for step in again.steps] == ["maps", "check", "configure", "service", "probe", "tidy"]
    assert not again.restarts


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("plans/limits-kept-*.json")), ids=lambda path: path.stem)
def test_limits_that_move_leave_no_trace_on_a_kept_postfix(path):
    case = json.loads(path.read_text())
    before, wish = facts(case["facts"]), case["wanted"]
    more = wish | {"share": wish["share"] | {"servers": 40}}
    none = {name: value for name, value in wish.items() if name != "share"}
    kept = {"before_cf": before.main_cf, "record": ("main.cf",)}
    now = replace(after(before, plan(before, wanted(wish), KEY)), **kept)
    for then in (more, none, more, wish):
        now = configured(now, plan(now, wanted(then), KEY))
        assert plan(now, wanted(then), KEY).empty
        undone = plan(now, Wanted(None), KEY).steps[0]
        assert undone.title == "Put main.cf back as it was" and not undone.files
        by_hand = plan(replace(now, main_cf=now.main_cf + b"mine = 1\n"), Wanted(None), KEY).steps[0]
        assert by_hand.files[0].content == before.main_cf + b"mine = 1\n"


def configured(before: Facts, done: Plan) -> Facts:
    files = next((step.files for step in done.steps if step.slug == "configure"), None)
    return replace(before, main_cf=files[0].content, manifest=json.loads(files[1].content)) if files else before


def test_only_what_is_less_strict_than_the_share_is_overruled_on_a_kept_postfix():
    ours = {"smtp_destination_rate_delay": "8s", "smtp_destination_concurrency_failed_cohort_limit": "10"}
    for line, overruled in [
        ("smtp_destination_rate_delay = 7s", True),
        ("smtp_destination_rate_delay = 8", False),
        ("default_destination_rate_delay = 1m", False),
        ("smtp_destination_rate_delay = $mine", True),
        ("smtp_destination_concurrency_failed_cohort_limit = 9", True),
        ("smtp_destination_concurrency_failed_cohort_limit = 0", False),
    ]:
        case = json.loads((GOLDEN / "plans/limits-kept-m365-shared-by-3.json").read_text())
        case["facts"]["main_cf"] = f"myhostname = mx.customer.test\n{line}\n"
        before = facts(case["facts"])
        now = after(before, plan(before, wanted(case["wanted"]), KEY)).settings
        name = next(name for name in ours if name.partition("_")[2] in line)
        assert (now.get(name) == ours[name]) == overruled, line
