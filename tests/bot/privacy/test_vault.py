"""Keys: what they open, where, and for how long."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.privacy.vault import STEP, KeyDestroyed, Tampered, Vault, VaultError, day_of

DAY = date(2026, 11, 22)


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault.open(tmp_path / "keys" / "master.key", create=True)


def test_a_sealed_value_opens_only_in_its_own_place(vault: Vault) -> None:
    sealed = vault.seal("address", "cases", "address", "1", b"7301")
    assert b"7301" not in sealed
    assert vault.unseal("address", "cases", "address", "1", sealed) == b"7301"
    places = [
        ("address", "cases", "address", "2"),
        ("address", "cases", "handle", "1"),
        ("address", "others", "address", "1"),
        ("handle", "cases", "address", "1"),
    ]
    for place in places:
        with pytest.raises(Tampered):
            vault.unseal(*place, sealed)


@pytest.mark.parametrize("change", [0, 5, 20, -1])
def test_a_changed_byte_is_noticed(vault: Vault, change: int) -> None:
    sealed = bytearray(vault.seal("a", "t", "c", "1", b"text"))
    sealed[change] ^= 1
    with pytest.raises(Tampered):
        vault.unseal("a", "t", "c", "1", bytes(sealed))


@pytest.mark.parametrize("broken", [b"", b"\x01", b"\x01" * 13, b"\x01" * 20, b"text"])
def test_what_was_never_sealed_is_refused(vault: Vault, broken: bytes) -> None:
    with pytest.raises(Tampered):
        vault.unseal("a", "t", "c", "1", broken)


def test_the_same_address_has_one_index_and_another_vault_another(
    vault: Vault, tmp_path: Path
) -> None:
    other = Vault(os.urandom(32), tmp_path)
    assert vault.blind_index("telegram", "1") == vault.blind_index("telegram", "1")
    indexes = {
        vault.blind_index("telegram", "1"),
        vault.blind_index("viber", "1"),
        vault.blind_index("telegram1", ""),
        vault.blind_index("", "telegram1"),
        other.blind_index("telegram", "1"),
    }
    assert len(indexes) == 5


@given(st.text(max_size=1500))
@settings(max_examples=50, deadline=None)
def test_a_text_comes_back_and_its_length_tells_little(text: str) -> None:
    vault = Vault(bytes(32), Path("/nowhere"))
    sealed = vault.seal_text(bytes(32), "messages", "text", "1", text)
    assert (len(sealed) - 1 - 12 - 16) % STEP == 0
    assert vault.unseal_text(bytes(32), "messages", "text", "1", sealed) == text


def test_yes_and_no_are_equally_long(vault: Vault) -> None:
    lengths = {len(vault.seal_text(bytes(32), "m", "t", "1", text)) for text in ("да", "x" * 200)}
    assert len(lengths) == 1


def test_a_destroyed_day_opens_nothing_even_with_master_key_and_a_copy(
    vault: Vault, tmp_path: Path
) -> None:
    name, wrapped = vault.new_case_key(DAY, "case")
    key = vault.unwrap(wrapped, name, "case")
    sealed = vault.seal_text(key, "messages", "text", "1", "думи")
    assert vault.destroy_day(DAY) == 1
    assert vault.destroy_day(DAY) == 0
    thief = Vault.open(tmp_path / "keys" / "master.key")
    with pytest.raises(KeyDestroyed):
        thief.unwrap(wrapped, name, "case")
    again = thief.day_key(DAY)  # a new key of the same name is another key
    assert again == name
    with pytest.raises(Tampered):
        thief.unwrap(wrapped, name, "case")
    with pytest.raises(Tampered):
        thief.unseal_text(os.urandom(32), "messages", "text", "1", sealed)


def test_a_days_key_without_the_master_key_opens_nothing(vault: Vault, tmp_path: Path) -> None:
    name, wrapped = vault.new_case_key(DAY, "case")
    thief = Vault(os.urandom(32), tmp_path / "keys" / "days")
    with pytest.raises(Tampered):
        thief.unwrap(wrapped, name, "case")


def test_a_case_key_moves_to_another_day_and_belongs_to_its_case(vault: Vault) -> None:
    name, wrapped = vault.new_case_key(DAY, "case")
    key = vault.unwrap(wrapped, name, "case")
    tomorrow = vault.day_key(date(2026, 11, 23))
    moved, rewrapped = vault.rewrap(wrapped, name, tomorrow, "case")
    vault.destroy_day(DAY)
    assert vault.unwrap(rewrapped, moved, "case") == key
    with pytest.raises(Tampered):
        vault.unwrap(rewrapped, moved, "other")


def test_a_replaced_key_is_the_newest_of_its_day(vault: Vault) -> None:
    first = vault.day_key(DAY)
    newer = [vault.replace_day_key(DAY) for _ in range(11)]
    assert vault.day_key(DAY) == newer[-1]
    assert vault.day_keys() == [first, *newer]
    assert {day_of(name) for name in newer} == {DAY}
    vault.destroy(first)
    vault.destroy(first)
    assert vault.replace_day_key(DAY) not in newer


def test_a_key_name_cannot_lead_out_of_its_folder(vault: Vault) -> None:
    with pytest.raises(Tampered):
        vault.unwrap(b"", "../master", "case")


def test_key_files_belong_to_their_owner_alone(vault: Vault, tmp_path: Path) -> None:
    vault.day_key(DAY)
    files = [path for path in (tmp_path / "keys").rglob("*") if path.is_file()]
    assert len(files) == 2
    assert {path.stat().st_mode & 0o777 for path in files} == {0o400}
    assert (tmp_path / "keys" / "days").stat().st_mode & 0o077 == 0


def test_the_master_key_is_made_once(vault: Vault, tmp_path: Path) -> None:
    again = Vault.open(tmp_path / "keys" / "master.key", create=True)
    assert again.blind_index("a", "b") == vault.blind_index("a", "b")


def test_each_mistake_with_the_master_key_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    with pytest.raises(VaultError, match="missing"):
        Vault.open(path)
    path.write_text("not base64!")
    path.chmod(0o440)
    with pytest.raises(VaultError, match="chmod 400"):
        Vault.open(path)
    path.chmod(0o600)
    with pytest.raises(VaultError, match="base64"):
        Vault.open(path)
    path.write_text("c2hvcnQ=")
    with pytest.raises(VaultError, match="32 bytes"):
        Vault.open(path)
    with pytest.raises(VaultError, match="32 bytes"):
        Vault(b"short", tmp_path)
