"""What a backup holds was decided, table by table, column by column, action by action."""

from __future__ import annotations

import ast
import fnmatch
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.privacy.vault import Tampered, Vault
from bot.storage.backup import (
    KEPT,
    KEPT_ACTIONS,
    LEFT_OUT,
    Kept,
    NewerBackup,
    NotEmpty,
    OlderBackup,
)
from bot.storage.records import Role, StaffMember, StaffState, Wish
from bot.storage.store import Store
from bot.storage.tables import metadata
from tests.bot.storage.conftest import Clock

PROGRAM = Path(__file__).parents[3] / "bot"
LEFT_OUT_ACTIONS = {
    "case.blocked", "case.claimed", "case.closed", "case.corrected", "case.medium",
    "case.reopened", "case.returned", "case.taken_back", "case.transferred", "case.unblocked",
    "forgotten", "refused.case", "refused.stranger",
}  # fmt: skip


def test_every_table_and_column_is_kept_or_left_out_by_decision() -> None:
    """A new one is decided in `bot/storage/backup.py`: could it hold anything of a woman's?"""
    undecided, gone = [], set(LEFT_OUT)
    for name, table in metadata.tables.items():
        if name in LEFT_OUT:
            assert name not in KEPT
            gone.discard(name)
            continue
        for column in table.columns.keys():  # noqa: SIM118  # a collection of columns, no dict
            kept, left_out = column in KEPT.get(name, ()), f"{name}.{column}" in LEFT_OUT
            if kept == left_out:
                undecided.append(f"{name}.{column}")
            gone.discard(f"{name}.{column}")
    assert undecided == []
    assert gone == set(), "left out, and not there at all"
    for name, columns in KEPT.items():
        assert set(columns) <= set(metadata.tables[name].columns.keys())


def actions(tree: ast.AST) -> Iterator[str]:
    """What this source writes into the audit; of `f"line.{done}"` the beginning, and a star."""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        given = [word.value for word in call.keywords if word.arg == "action"]
        if isinstance(call.func, ast.Attribute) and call.func.attr in ("audit", "audit_once"):
            given += call.args[1:2]
        for value in given:
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield value.value
            elif isinstance(value, ast.JoinedStr) and isinstance(value.values[0], ast.Constant):
                yield f"{value.values[0].value}*"


def test_every_action_of_the_audit_is_kept_or_left_out_by_decision() -> None:
    sources = [file.read_text("utf-8") for file in PROGRAM.rglob("*.py")]
    written = {action for source in sources for action in actions(ast.parse(source))}
    assert len(written) > 25
    decided = KEPT_ACTIONS | LEFT_OUT_ACTIONS
    undecided = {action for action in written if not fnmatch.filter(decided, action)}
    assert undecided == set(), "decide in bot/storage/backup.py: does it speak of a woman?"
    assert not KEPT_ACTIONS & LEFT_OUT_ACTIONS


async def new_store(folder: Path, empty_database: Path, clock: Clock) -> Store:
    folder.mkdir()
    (folder / "phen.db").write_bytes(empty_database.read_bytes())
    vault = Vault.open(folder / "keys" / "master.key", create=True)
    return await Store.open(f"sqlite:///{folder}/phen.db", vault, clock)


async def restored(kept: Kept, folder: Path, empty_database: Path, clock: Clock) -> Store:
    store = await new_store(folder, empty_database, clock)
    try:
        await store.restore(kept)
    except BaseException:
        assert not any((await store.counts()).values())
        await store.close()
        raise
    return store


async def test_a_link_that_was_used_since_does_not_open_a_second_time(
    store: Store, clock: Clock, tmp_path: Path, empty_database: Path
) -> None:
    expires = clock() + timedelta(days=1)
    invited = await store.add_staff("nova", "", [Role.STAFF], b"hash of the link", expires)
    kept = await store.backup()
    other = await restored(kept, tmp_path / "new", empty_database, clock)
    assert await other.staff_by_invite(b"hash of the link") is None
    assert await other.invite_again(invited.id, b"another", expires)
    await other.close()


async def test_who_was_removed_is_in_no_backup_whatever_speaks_of_her(
    store: Store, maria: StaffMember
) -> None:
    case = await store.open_case("telegram", "73019", "tr", None, None, "тиха река")
    await store.claim(case.id, maria.id)
    await store.remove_staff(maria.id)
    kept = await store.backup()
    assert kept.rows["staff"] == []


async def test_who_was_frozen_and_perhaps_still_in_the_group_is_to_leave_it(
    store: Store, maria: StaffMember, elena: StaffMember, clock: Clock, tmp_path: Path,
    empty_database: Path,
) -> None:  # fmt: skip
    for member, phone in ((maria, "7000001"), (elena, "7000002")):
        await store.offer_bell(member.id, b"code", clock() + timedelta(minutes=10))
        assert await store.link_bell(b"code", phone)
    await store.set_staff_state(maria.id, StaffState.FROZEN)
    other = await restored(await store.backup(), tmp_path / "new", empty_database, clock)
    found = [(note.name, note.wish, note.address) for note in await other.group_notes()]
    assert found == [("maria", Wish.OUT, "7000001")]
    await other.close()


async def test_what_the_audit_says_keeps_its_order_and_its_ninety_days(
    store: Store, clock: Clock, tmp_path: Path, empty_database: Path
) -> None:
    await store.audit("maria", "login")
    clock.forward(days=89)
    for action in ("line.stopped", "line.resumed", "duty.saved"):
        clock.forward(hours=1)
        await store.audit("maria", action)
    clock.forward(days=1)
    other = await restored(await store.backup(), tmp_path / "new", empty_database, clock)
    found = [entry.action for entry in await other.audits(10)]
    assert found == ["restored", "duty.saved", "line.resumed", "line.stopped"]
    assert await other.restored_since(clock() - timedelta(hours=1)) == clock()
    assert await other.restored_since(clock()) is None
    await other.close()


async def test_a_value_that_cannot_be_opened_makes_no_backup(
    url: str, store: Store, maria: StaffMember, clock: Clock, tmp_path: Path
) -> None:
    foreign = Vault.open(tmp_path / "other" / "master.key", create=True)
    with_it = await Store.open(url, foreign, clock)
    with pytest.raises(Tampered):
        await with_it.backup()
    await with_it.close()


@pytest.mark.parametrize("there", ["staff", "case", "reception"])
async def test_a_database_in_use_is_refused_and_left_alone(
    there: str, store: Store, maria: StaffMember, clock: Clock, tmp_path: Path, empty_database: Path
) -> None:
    kept = await store.backup()
    other = await new_store(tmp_path / "new", empty_database, clock)
    if there == "staff":
        await other.add_staff("elena", "", [Role.ADMIN], b"hash", clock() + timedelta(days=1))
    elif there == "case":
        await other.open_case("web", "a", "bg", None, None, "тиха река")
    else:
        await other.set_stopped(True)
    before = await other.counts()
    with pytest.raises(NotEmpty, match="phen migrate"):
        await other.restore(kept)
    assert await other.counts() == before
    await other.close()


async def test_an_older_backup_is_taken_where_what_it_lacks_has_a_default(
    store: Store, maria: StaffMember, clock: Clock, tmp_path: Path, empty_database: Path
) -> None:
    kept = await store.backup()
    for row in kept.rows["staff"]:
        del row["languages"], row["bell_address"]
    older = replace(kept, revision="0001", rows={"staff": kept.rows["staff"]})
    other = await restored(older, tmp_path / "new", empty_database, clock)
    found = await other.staff_by_login("maria")
    assert found is not None
    assert (found.id, found.languages, found.has_bell) == (maria.id, {"bg"}, False)
    await other.close()


@pytest.mark.parametrize(
    ("spoilt", "refusal"),
    [("revision", NewerBackup), ("table", OlderBackup), ("column", OlderBackup),
     ("lacking", OlderBackup), ("twice", Exception)],
)  # fmt: skip
async def test_a_backup_of_another_version_is_refused_and_nothing_is_restored(
    spoilt: str, refusal: type[Exception], store: Store, maria: StaffMember, clock: Clock,
    tmp_path: Path, empty_database: Path,
) -> None:  # fmt: skip
    await store.audit(maria.id, "login")
    kept = await store.backup()
    if spoilt == "revision":
        kept = replace(kept, revision="9999")
    elif spoilt == "table":
        kept.rows["women"] = []
    elif spoilt == "column":
        kept.rows["audit"][0]["address"] = "73019"
    elif spoilt == "lacking":
        del kept.rows["audit"][0]["action"]
    else:
        kept.rows["staff"] *= 2
    with pytest.raises(refusal):
        await restored(kept, tmp_path / "new", empty_database, clock)
