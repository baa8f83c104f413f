"""What an admin can do with the accounts, and what nobody can."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from bot.desk.accounts import InviteInvalid, LoginRefused, LoginUnfit
from bot.desk.service import NotAllowed
from bot.desk.team import (
    AliasTooLong,
    NoLanguage,
    NoRole,
    NoSuchAccount,
    NotAnAdmin,
    NotOneself,
    Team,
)
from bot.storage.records import CaseState, LoginTaken, Role, StaffMember, StaffState
from bot.texts import open_content
from tests.bot.desk import PASSWORD, Centre, a_centre

ADMIN = (Role.ADMIN,)
CONSULTANT = (Role.CONSULTANT,)


@pytest.fixture
async def centre(tmp_path: Path) -> AsyncIterator[Centre]:
    async with a_centre(tmp_path) as made:
        yield made


@pytest.fixture
def team(centre: Centre) -> Team:
    return Team(centre.store, centre.accounts, centre.changes, lambda: None, open_content()[1])


@pytest.fixture
async def ana(centre: Centre) -> StaffMember:
    """The only admin."""
    return await centre.person("ana", ADMIN)


async def now(centre: Centre, member: StaffMember) -> StaffMember:
    found = await centre.store.staff(member.id)
    assert found is not None
    return found


async def test_an_invitation_holds_alias_roles_and_languages(
    centre: Centre, team: Team, ana: StaffMember
) -> None:
    token = await team.invite(ana, "Maria ", "  Мария  М. ", CONSULTANT, ["bg", "tr"])
    maria = await centre.accounts.invited(token)
    assert (maria.login, maria.alias) == ("maria", "Мария М.")
    assert (maria.roles, maria.languages) == ({Role.CONSULTANT}, {"bg", "tr"})
    assert (ana.id, "account.invite_sent") in await centre.audited()


async def test_a_new_invitation_ends_the_one_before(
    centre: Centre, team: Team, ana: StaffMember
) -> None:
    first = await team.invite(ana, "maria", "", CONSULTANT, ["bg"])
    maria = await centre.accounts.invited(first)
    second = await team.invite_again(ana, maria.id)
    assert (await centre.accounts.invited(second)).login == "maria"
    with pytest.raises(InviteInvalid):
        await centre.accounts.invited(first)


async def test_who_has_accepted_is_not_invited_again(
    centre: Centre, team: Team, ana: StaffMember
) -> None:
    maria = await centre.person("maria")
    with pytest.raises(InviteInvalid):
        await team.invite_again(ana, maria.id)
    assert (await now(centre, maria)).state is StaffState.ACTIVE


async def test_what_does_not_fit_invites_nobody(
    centre: Centre, team: Team, ana: StaffMember
) -> None:
    wrong = [
        (LoginUnfit, ("Мария", "", CONSULTANT, ["bg"])),
        (LoginTaken, ("ana", "", CONSULTANT, ["bg"])),
        (AliasTooLong, ("maria", "М" * 41, CONSULTANT, ["bg"])),
        (NoRole, ("maria", "", (), ["bg"])),
        (NoLanguage, ("maria", "", CONSULTANT, [])),
    ]
    for error, given in wrong:
        with pytest.raises(error):
            await team.invite(ana, *given)  # type: ignore[arg-type]
    assert [each.login for each in await centre.store.all_staff()] == ["ana"]


async def test_alias_roles_and_languages_can_be_changed(
    centre: Centre, team: Team, ana: StaffMember
) -> None:
    maria = await centre.person("maria")
    await team.change(ana, maria.id, "Мими", [Role.CONSULTANT, Role.STAFF], ["tr"])
    changed = await now(centre, maria)
    assert (changed.alias, changed.languages) == ("Мими", {"tr"})
    assert changed.roles == {Role.CONSULTANT, Role.STAFF}


async def test_a_frozen_consultant_is_out_at_once_and_her_women_are_told(
    centre: Centre, team: Team, ana: StaffMember
) -> None:
    session = await centre.session_of("maria")
    maria = await centre.accounts.session(session)
    assert maria is not None
    case = await centre.woman("тих орех", "Тук ли си?")
    await centre.desk.claim(maria, case.id)
    await centre.send_all()
    await team.freeze(ana, maria.id)
    assert await centre.accounts.session(session) is None
    waiting = await centre.case(case)
    assert (waiting.state, waiting.claimed_by) == (CaseState.WAITING, None)
    assert waiting.bell_at is not None
    assert await centre.send_all() == [open_content()[1].say("bg", "notice.returned")]
    with pytest.raises(NotAllowed):
        await centre.desk.claim(maria, case.id)


async def test_a_thawed_account_opens_with_what_it_had(
    centre: Centre, team: Team, ana: StaffMember
) -> None:
    maria = await centre.person("maria")
    await team.freeze(ana, maria.id)
    centre.clock.passes(minutes=1)
    with pytest.raises(LoginRefused):
        await centre.accounts.login("maria", PASSWORD, centre.code("maria"))
    await team.thaw(ana, maria.id)
    await centre.accounts.login("maria", PASSWORD, centre.code("maria"))


async def test_only_what_is_frozen_thaws_and_only_what_is_active_freezes(
    centre: Centre, team: Team, ana: StaffMember
) -> None:
    await centre.accounts.invite("nova", CONSULTANT)
    nova = await centre.store.staff_by_login("nova")
    assert nova is not None
    for act in (team.freeze, team.thaw):
        with pytest.raises(NoSuchAccount):
            await act(ana, nova.id)
        with pytest.raises(NoSuchAccount):
            await act(ana, "nobody")
    assert (await now(centre, nova)).state is StaffState.INVITED


async def test_a_removed_person_leaves_her_cases_and_her_login(
    centre: Centre, team: Team, ana: StaffMember
) -> None:
    maria = await centre.person("maria")
    case = await centre.woman("тих орех")
    await centre.desk.claim(maria, case.id)
    await team.remove(ana, maria.id)
    assert (await centre.case(case)).state is CaseState.WAITING
    assert [each.login for each in await centre.store.all_staff()] == ["ana"]
    await team.invite(ana, "maria", "", CONSULTANT, ["bg"])
    with pytest.raises(NoSuchAccount):
        await team.remove(ana, maria.id)


async def test_who_answers_women_no_more_keeps_no_case(
    centre: Centre, team: Team, ana: StaffMember
) -> None:
    maria = await centre.person("maria")
    case = await centre.woman("тих орех")
    await centre.desk.claim(maria, case.id)
    await centre.send_all()
    await team.change(ana, maria.id, "", [Role.STAFF], ["bg"])
    assert (await centre.case(case)).state is CaseState.WAITING
    assert await centre.send_all() == [open_content()[1].say("bg", "notice.returned")]


async def test_another_alias_moves_no_case(centre: Centre, team: Team, ana: StaffMember) -> None:
    maria = await centre.person("maria")
    case = await centre.woman("тих орех")
    await centre.desk.claim(maria, case.id)
    await team.change(ana, maria.id, "Мими", CONSULTANT, ["bg"])
    assert (await centre.case(case)).claimed_by == maria.id


# --- what nobody can ---------------------------------------------------------------------


async def refused_oneself(centre: Centre, me: StaffMember, act: Awaitable[None]) -> None:
    with pytest.raises(NotOneself):
        await act
    same = await now(centre, me)
    assert (same.state, same.roles) == (StaffState.ACTIVE, me.roles)
    assert (me.id, "refused.oneself") in await centre.audited()


async def test_nobody_freezes_herself(centre: Centre, team: Team, ana: StaffMember) -> None:
    await centre.person("vera", ADMIN)
    await refused_oneself(centre, ana, team.freeze(ana, ana.id))


async def test_nobody_removes_herself(centre: Centre, team: Team, ana: StaffMember) -> None:
    await centre.person("vera", ADMIN)
    await refused_oneself(centre, ana, team.remove(ana, ana.id))


async def test_nobody_demotes_herself(centre: Centre, team: Team, ana: StaffMember) -> None:
    await centre.person("vera", ADMIN)
    await refused_oneself(centre, ana, team.change(ana, ana.id, "", [Role.STAFF], ["bg"]))


async def test_an_admin_can_change_her_own_alias(
    centre: Centre, team: Team, ana: StaffMember
) -> None:
    await team.change(ana, ana.id, "Ани", [Role.ADMIN, Role.STAFF], ["bg"])
    assert (await now(centre, ana)).alias == "Ани"


@pytest.mark.parametrize("how", ["freeze", "remove", "demote"])
async def test_of_two_admins_who_take_each_other_away_one_stays(
    centre: Centre, team: Team, ana: StaffMember, how: str
) -> None:
    vera = await centre.person("vera", ADMIN)
    acts: dict[str, Callable[[StaffMember, str], Awaitable[None]]] = {
        "freeze": team.freeze,
        "remove": team.remove,
        "demote": lambda me, other: team.change(me, other, "", [Role.STAFF], ["bg"]),
    }
    act = acts[how]
    told = await asyncio.gather(act(ana, vera.id), act(vera, ana.id), return_exceptions=True)
    assert [type(each) for each in told] == [type(None), NotAnAdmin]
    left = [
        each.login
        for each in await centre.store.all_staff()
        if each.state is StaffState.ACTIVE and Role.ADMIN in each.roles
    ]
    assert left == ["ana"]


@pytest.mark.parametrize("roles", [[Role.CONSULTANT], [Role.STAFF]])
async def test_only_an_admin_changes_accounts(
    centre: Centre, team: Team, ana: StaffMember, roles: list[Role]
) -> None:
    maria = await centre.person("maria", roles)
    for act in (
        team.invite(maria, "nova", "", CONSULTANT, ["bg"]),
        team.invite_again(maria, ana.id),
        team.change(maria, maria.id, "", ADMIN, ["bg"]),
        team.freeze(maria, ana.id),
        team.thaw(maria, ana.id),
        team.remove(maria, ana.id),
    ):
        with pytest.raises(NotAnAdmin):
            await act
    assert [(each.login, each.roles) for each in await centre.store.all_staff()] == [
        ("ana", {Role.ADMIN}),
        ("maria", set(roles)),
    ]
    assert [action for _, action in await centre.audited()].count("refused.role") == 6


async def test_an_admin_who_was_frozen_a_moment_ago_is_refused(
    centre: Centre, team: Team, ana: StaffMember
) -> None:
    vera = await centre.person("vera", ADMIN)
    await team.freeze(ana, vera.id)
    with pytest.raises(NotAnAdmin):
        await team.remove(vera, ana.id)


async def test_freezing_an_invitation_from_the_server_withdraws_it(centre: Centre) -> None:
    token = await centre.accounts.invite("nova", CONSULTANT)
    assert await centre.accounts.freeze("nova")
    with pytest.raises(InviteInvalid):
        await centre.accounts.invited(token)
    assert await centre.store.all_staff() == []
