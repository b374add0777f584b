"""The public RFC 7208 suite (tests/golden/dns/rfc7208-tests.yml, its authors and licence beside it), whole."""

from pathlib import Path

import pytest
import yaml

from gateway.deliverability import spf
from tests.gateway.deliverability.zone import Zone

SUITE = Path(__file__).resolve().parents[2] / "golden" / "dns" / "rfc7208-tests.yml"
SECTIONS = list(yaml.safe_load_all(SUITE.read_text()))
CASES = [(section, name) for section in SECTIONS for name in section["tests"]]


def zone(section: dict) -> Zone:
    """SPF entries of the suite stand for TXT ones, unless the name has TXT entries of its own."""
    data = {}
    for name, records in section["zonedata"].items():
        own = any(isinstance(r, dict) and "TXT" in r for r in records)
        copies = [{"TXT": r["SPF"]} for r in records if isinstance(r, dict) and "SPF" in r and not own]
        data[name] = records + copies
    return Zone(data)


def test_the_suite_is_whole():
    assert len(CASES) == 203


@pytest.mark.parametrize(("section", "name"), CASES, ids=[name for _, name in CASES])
def test_as_the_suite_says(section, name):
    case = section["tests"][name]
    outcome = spf.check_host(case["host"], case["mailfrom"], case["helo"], zone(section))
    wanted = case["result"]
    assert outcome.result in ([wanted] if isinstance(wanted, str) else wanted), outcome.why
    if "explanation" in case:
        assert (outcome.explanation or "DEFAULT") == case["explanation"]
