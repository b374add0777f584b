"""What is said about domains that are right, wrong and strange: tests/golden/dns/checks.yml."""

import base64
from functools import cache
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.deliverability import dmarc, findings
from gateway.deliverability.accounts import sender
from gateway.deliverability.check import Scope, check
from gateway.deliverability.domains import organisation
from gateway.deliverability.findings import Spread
from gateway.providers import presets
from tests.gateway.deliverability.zone import Zone

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "dns" / "checks.yml"
CASES = [case for case in yaml.safe_load_all(GOLDEN.read_text()) if case]
# A public key of 512 bits: the library makes none as small.
SHORT = (
    "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAKtUqYzrHwrSAAAAAAAAAB0CAwEAAQ=="
)


@cache
def key(bits: int) -> str:
    public = rsa.generate_private_key(65537, bits).public_key()
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return "v=DKIM1; k=rsa; p=" + base64.b64encode(der).decode()


def filled(text):
    if not isinstance(text, str):
        return text
    for name, value in (("KEY512", f"v=DKIM1; p={SHORT}"), ("ED25519", "v=DKIM1; k=ed25519; p=" + "A" * 43 + "=")):
        text = text.replace(name, value)
    text = text.replace("t=y; KEY2048", key(2048) + "; t=y") if "KEY2048" in text else text
    return text.replace("KEY2048", key(2048)) if "KEY2048" in text else text.replace("KEY1024", key(1024))


def zone(case: dict) -> Zone:
    return Zone(
        {
            name: [{kind: filled(value) for kind, value in r.items()} if isinstance(r, dict) else r for r in records]
            for name, records in case["zone"].items()
        }
    )


def checked(case: dict):
    senders = [sender(presets.get(slug)) for slug in case["presets"]]
    return check(case["domain"], zone(case), senders, organisation, Scope(tuple(case.get("selectors", ()))))


@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_as_the_golden_file_says(case):
    report = checked(case)
    said = [(f"{f.area} {f.state} {f.word}", f.what) for f in report.findings]
    for wanted, part in case["finds"].items():
        assert any(key == wanted.partition("|")[0] and part in what for key, what in said), (wanted, part, said)
    if "state" in case:
        assert report.state == case["state"], said
    assert any(case.get("hint", "") in f.hint for f in report.findings)
    for word in case.get("never", ()):
        assert all(f.word != word for f in report.findings)
    published = {f"{p.name} {p.kind}": p.value for p in report.publish}
    wanted = case.get("publish")
    if wanted is not None:
        assert wanted.items() <= published.items(), published
        assert wanted or not published


def test_never_two_records_for_one_name_and_type():
    for case in CASES:
        names = [(p.name, p.kind) for p in checked(case).publish]
        assert len(names) == len(set(names)), case["case"]


def test_published_and_not_yet_everywhere_says_how_long():
    case = next(case for case in CASES if case["case"].startswith("all is right"))
    report = findings.spreading(checked(case), [Spread("s1._domainkey.example.com", "TXT", 2400)])
    told = [f for f in report.findings if f.word == "spreading"]
    assert [(f.state, "40 min left" in f.hint) for f in told] == [("warn", True)]
    assert report.state == "warn"


def test_a_walk_asks_eight_names_at_most():
    names = dmarc.steps(".".join("abcdefghij") + ".example.com")
    assert len(names) == 8
    assert names[0].startswith("a.b.") and names[1] == "f.g.h.i.j.example.com" and names[-1] == "com"
    assert dmarc.steps("mail.example.com") == ["mail.example.com", "example.com", "com"]


def test_a_suffix_that_declares_itself_leaves_its_children_their_own_organisation():
    found = dmarc.discover("a.shop.bank", Zone({"_dmarc.bank": [{"TXT": "v=DMARC1; p=reject; psd=y"}]}))
    assert (found.organisation, found.at) == ("shop.bank", "bank")


def test_a_record_in_the_forms_that_dns_hosts_want():
    long = findings.record("k._domainkey.example.com", "example.com", "TXT", "x" * 300, "")
    assert long.host == "k._domainkey"
    assert [len(piece) for piece in long.exact.strip('"').split('" "')] == [255, 45]
    quoted = findings.record("example.com", "example.com", "TXT", 'a"b\\c', "")
    assert (quoted.host, quoted.exact) == ("@", r'"a\"b\\c"')
    alias = findings.record("a.example.com", "example.com", "CNAME", "b.example.net", "")
    assert (alias.value, alias.exact) == ("b.example.net", "b.example.net.")
    assert alias.line == "a.example.com. 3600 IN CNAME b.example.net."


def test_names_are_relative_to_the_zone_that_holds_the_domain():
    report = findings.Report(
        "m.example.com", publish=(findings.record("m.example.com", "m.example.com", "MX", "1 a", ""),)
    )
    assert [p.host for p in findings.within(report, "example.com").publish] == ["m"]
    assert [p.host for p in findings.within(report, "m.example.com").publish] == ["@"]
    assert [p.host for p in findings.within(report, "other.example").publish] == ["@"]


def test_several_spf_records_have_no_cost_that_anybody_pays():
    texts = ["v=spf1 mx -all", "v=spf1 include:_spf.google.com ~all"]
    both = Zone({"example.com": [{"TXT": text} for text in texts] + [{"MX": [10, "mx.example.com"]}]})
    assert check("example.com", both, [], organisation, Scope()).tree == {}
