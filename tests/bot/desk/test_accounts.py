"""How somebody of the centre comes in, and how nobody else does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pyotp
import pytest

from bot.desk.accounts import (
    INVITE_LIFE,
    MAX_FAILURES,
    CodeRefused,
    InviteInvalid,
    LoginRefused,
    PasswordTooLong,
    PasswordTooShort,
    Throttled,
    tidy_invite,
    unspent_code,
)
from bot.storage.records import Role, StaffState
from tests.bot.desk import PASSWORD, Centre, a_centre


@pytest.fixture
async def centre(tmp_path: Path) -> AsyncIterator[Centre]:
    async with a_centre(tmp_path) as made:
        yield made


async def test_an_invitation_leads_to_a_session(centre: Centre) -> None:
    session = await centre.session_of("maria", alias="Мария")
    member = await centre.accounts.session(session)
    assert member is not None
    assert (member.login, member.alias, member.state) == ("maria", "Мария", StaffState.ACTIVE)


async def test_an_invitation_opens_once(centre: Centre) -> None:
    token = await centre.accounts.invite("maria", [Role.CONSULTANT])
    enrolment = await centre.accounts.accept(token, PASSWORD)
    code = pyotp.TOTP(enrolment.secret).at(centre.clock.at)
    await centre.accounts.confirm(token, enrolment.sealed, code)
    with pytest.raises(InviteInvalid):
        await centre.accounts.accept(token, PASSWORD)
    with pytest.raises(InviteInvalid):
        await centre.accounts.confirm(token, enrolment.sealed, code)


async def test_an_old_invitation_does_not_open(centre: Centre) -> None:
    token = await centre.accounts.invite("maria", [Role.CONSULTANT])
    centre.clock.at += INVITE_LIFE
    with pytest.raises(InviteInvalid):
        await centre.accounts.invited(token)


async def test_a_wrong_first_code_keeps_the_password_and_the_key(centre: Centre) -> None:
    token = await centre.accounts.invite("maria", [Role.CONSULTANT])
    enrolment = await centre.accounts.accept(token, PASSWORD)
    for wrong in ("000000", "", "абвгде", "１２３４５６"):
        with pytest.raises(CodeRefused):
            await centre.accounts.confirm(token, enrolment.sealed, wrong)
    assert (await centre.accounts.resume(token, enrolment.sealed)).uri == enrolment.uri


async def test_one_persons_enrolment_does_not_fit_anothers_invitation(centre: Centre) -> None:
    hers = await centre.accounts.invite("maria", [Role.CONSULTANT])
    other = await centre.accounts.invite("elena", [Role.ADMIN])
    enrolment = await centre.accounts.accept(hers, PASSWORD)
    code = pyotp.TOTP(enrolment.secret).at(centre.clock.at)
    for sealed in (enrolment.sealed, "zz", ""):
        with pytest.raises(InviteInvalid):
            await centre.accounts.confirm(other, sealed, code)


async def test_a_password_has_twelve_characters(centre: Centre) -> None:
    token = await centre.accounts.invite("maria", [Role.CONSULTANT])
    with pytest.raises(PasswordTooShort):
        await centre.accounts.accept(token, "elevenchars")
    with pytest.raises(PasswordTooLong):
        await centre.accounts.accept(token, "x" * 201)


async def test_a_whole_pasted_link_is_an_invitation() -> None:
    assert tidy_invite(" https://phen.example/invite#abc_-1\n") == "abc_-1"
    assert tidy_invite("abc_-1") == "abc_-1"


async def test_name_password_and_code_open_the_door(centre: Centre) -> None:
    await centre.session_of("maria")
    centre.clock.passes(seconds=30)
    code = centre.code("maria")
    session = await centre.accounts.login(" Maria ", PASSWORD, f"{code[:3]} {code[3:]}")
    assert await centre.accounts.session(session) is not None


async def test_a_code_opens_once(centre: Centre) -> None:
    await centre.session_of("maria")
    centre.clock.passes(seconds=60)
    code = centre.code("maria")
    await centre.accounts.login("maria", PASSWORD, code)
    with pytest.raises(LoginRefused):
        await centre.accounts.login("maria", PASSWORD, code)


async def test_of_two_logins_at_once_with_one_code_one_gets_in(centre: Centre) -> None:
    await centre.session_of("maria")
    centre.clock.passes(seconds=60)
    code = centre.code("maria")
    both = (centre.accounts.login("maria", PASSWORD, code) for _ in range(2))
    results = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(isinstance(result, LoginRefused) for result in results) == [False, True]


async def test_an_old_or_far_code_does_not_open(centre: Centre) -> None:
    await centre.session_of("maria")
    early = centre.code("maria")
    centre.clock.passes(minutes=2)
    with pytest.raises(LoginRefused):
        await centre.accounts.login("maria", PASSWORD, early)


async def test_a_wrong_password_does_not_spend_the_code(centre: Centre) -> None:
    await centre.session_of("maria")
    centre.clock.passes(seconds=60)
    with pytest.raises(LoginRefused):
        await centre.accounts.login("maria", "wrong wrong wrong", centre.code("maria"))
    assert await centre.accounts.login("maria", PASSWORD, centre.code("maria"))


@pytest.mark.parametrize("login", ["maria", "nobody"])
async def test_after_five_failures_a_name_waits_a_quarter_of_an_hour(
    centre: Centre, login: str
) -> None:
    await centre.session_of("maria")
    for _ in range(MAX_FAILURES):
        with pytest.raises(LoginRefused):
            await centre.accounts.login(login, "wrong wrong wrong", "000000")
    centre.clock.passes(minutes=1)
    with pytest.raises(Throttled):
        await centre.accounts.login(login, PASSWORD, centre.code("maria"))
    centre.clock.passes(minutes=15)
    if login == "maria":
        assert await centre.accounts.login(login, PASSWORD, centre.code("maria"))


async def test_guessing_all_at_once_gets_no_more_guesses(centre: Centre) -> None:
    await centre.session_of("maria")
    many = (centre.accounts.login("maria", PASSWORD, f"{n:06}") for n in range(20))
    results = await asyncio.gather(*many, return_exceptions=True)
    refused = [result for result in results if isinstance(result, LoginRefused)]
    assert len(refused) <= MAX_FAILURES


async def test_an_unknown_name_is_refused_like_a_known_one(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    await centre.session_of("maria")
    compared: list[str] = []
    verify = centre.accounts._hasher.verify

    def counting(stored: str, password: str) -> bool:
        compared.append(stored)
        return bool(verify(stored, password))

    hasher = {"verify": counting, "hash": centre.accounts._hasher.hash}
    monkeypatch.setattr(centre.accounts, "_hasher", type("Hasher", (), hasher))
    for login in ("maria", "nobody"):
        with pytest.raises(LoginRefused):
            await centre.accounts.login(login, "wrong wrong wrong", "000000")
    assert len(compared) == 2


async def test_a_session_ends_after_two_idle_hours(centre: Centre) -> None:
    session = await centre.session_of("maria")
    centre.clock.passes(minutes=110)
    assert await centre.accounts.session(session)
    centre.clock.passes(minutes=110)
    assert await centre.accounts.session(session)
    centre.clock.passes(minutes=121)
    assert await centre.accounts.session(session) is None


async def test_a_page_left_open_does_not_keep_the_session(centre: Centre) -> None:
    session = await centre.session_of("maria")
    for _ in range(5):
        centre.clock.passes(minutes=30)
        last = await centre.accounts.session(session, active=False)
    assert last is None


async def test_a_session_ends_after_twelve_hours_whatever_happens(centre: Centre) -> None:
    session = await centre.session_of("maria")
    for _ in range(11):
        centre.clock.passes(hours=1)
        assert await centre.accounts.session(session)
    centre.clock.passes(minutes=61)
    assert await centre.accounts.session(session) is None


async def test_after_the_logout_the_session_is_gone(centre: Centre) -> None:
    session = await centre.session_of("maria")
    await centre.accounts.logout(session)
    await centre.accounts.logout(session)
    assert await centre.accounts.session(session) is None


async def test_a_frozen_account_is_out_at_once_and_cannot_come_back(centre: Centre) -> None:
    session = await centre.session_of("maria")
    member = await centre.accounts.session(session)
    assert member is not None
    await centre.store.set_staff_state(member.id, StaffState.FROZEN)
    assert await centre.accounts.session(session) is None
    centre.clock.passes(seconds=60)
    with pytest.raises(LoginRefused):
        await centre.accounts.login("maria", PASSWORD, centre.code("maria"))
    assert (member.id, "refused.frozen") in await centre.audited()


async def test_what_opens_a_door_stands_in_no_file(centre: Centre, tmp_path: Path) -> None:
    invite = await centre.accounts.invite("elena", [Role.CONSULTANT])
    session = await centre.session_of("maria")
    await centre.store.close()
    stored = bytes_in(tmp_path)
    for secret in (invite, session, PASSWORD, centre.secrets["maria"]):
        assert secret.encode() not in stored


def bytes_in(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.glob("phen.db*"))


async def test_the_code_that_the_demo_shows_opens_the_door(centre: Centre) -> None:
    await centre.session_of("maria")
    credentials = await centre.store.credentials("maria")
    assert credentials is not None
    code = unspent_code(credentials, centre.clock.at)
    assert await centre.accounts.login("maria", PASSWORD, code)
