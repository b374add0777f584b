import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from controlpanel import keys


def test_keys_are_made_once_and_only_their_owner_reads_them(tmp_path):
    path = tmp_path / "keys" / "signing"
    first = keys.signing_key(path)
    assert keys.signing_key(path) == first
    assert len(first) >= 64
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_processes_that_start_together_agree_on_one_key(tmp_path):
    path = tmp_path / "signing"
    with ThreadPoolExecutor(16) as pool:
        seen = set(pool.map(lambda _: keys.signing_key(path), range(64)))
    assert len(seen) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["signing"]


def test_two_panels_never_share_a_key(tmp_path):
    assert keys.vault_keys(tmp_path / "a") != keys.vault_keys(tmp_path / "b")


@pytest.mark.parametrize("content", ["", "k1\n", "k1 c2hvcnQ=\n", "k1 a b\n"])
def test_a_broken_key_ring_stops_the_start(tmp_path, content):
    path = tmp_path / "vault"
    path.write_text(content)
    with pytest.raises(ValueError):
        keys.vault_keys(path)
    assert path.read_text() == content
