"""How somebody of the centre comes in, and how nobody else does."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pyotp
import pytest
from sqlalchemy import select

from bot.desk.accounts import (
    INVITE_LIFE,
    MAX_FAILURES,
    MOST_WAITING,
    SEEN_STEP,
    Accounts,
    CodeRefused,
    InviteInvalid,
    LoginRefused,
    PasswordTooLong,
    PasswordTooShort,
    Throttled,
    tidy_invite,
    unspent_code,
)
from bot.privacy.redact import EventLog
from bot.storage.records import Role, StaffState
from bot.storage.tables import sessions
from tests.bot.desk import PASSWORD, QUICK, Centre, a_centre


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


# --- a browser that knows her ------------------------------------------------------------------


async def her_browser(centre: Centre, login: str = "maria") -> str:
    """What the cookie of a browser says by which she has just come in."""
    member = await centre.store.staff_by_login(login)
    assert member is not None
    return await centre.accounts.known_browser(member)


async def wrong(centre: Centre, login: str, browser: str = "", times: int = MAX_FAILURES) -> None:
    for _ in range(times):
        with pytest.raises(LoginRefused):
            await centre.accounts.login(login, "wrong wrong wrong", "000000", browser)


def alarms(code: str) -> int:
    return EventLog.counted["accounts", code]


async def test_who_knows_only_her_name_keeps_her_out_of_no_browser_of_hers(centre: Centre) -> None:
    await centre.session_of("maria")
    browser = await her_browser(centre)
    for _ in range(3):
        centre.clock.passes(minutes=16)
        await wrong(centre, "maria")
        with pytest.raises(Throttled):
            await centre.accounts.login("maria", PASSWORD, centre.code("maria"))
        assert await centre.accounts.login("maria", PASSWORD, centre.code("maria"), browser)


async def test_a_known_browser_has_a_limit_of_its_own(centre: Centre) -> None:
    await centre.session_of("maria")
    browser, other = await her_browser(centre), await her_browser(centre)
    centre.clock.passes(minutes=1)
    await wrong(centre, "maria", browser)
    with pytest.raises(Throttled):
        await centre.accounts.login("maria", PASSWORD, centre.code("maria"), browser)
    assert await centre.accounts.login("maria", PASSWORD, centre.code("maria"), other)
    await wrong(centre, "maria", times=1)
    centre.clock.passes(minutes=16)
    assert await centre.accounts.login("maria", PASSWORD, centre.code("maria"), browser)


async def test_a_cookie_that_is_anothers_old_or_made_up_is_a_strangers(centre: Centre) -> None:
    await centre.session_of("maria")
    await centre.session_of("elena")
    hers, anothers = await her_browser(centre), await her_browser(centre, "elena")
    number, at, signature = hers.split(".")
    await wrong(centre, "maria")
    for made_up in (
        anothers, f"{number[::-1]}.{at}.{signature}", f"{number}.{int(at) + 1}.{signature}",
        f"{number}.{at}.{'0' * 64}", f"{number}.{'9' * 10}.{signature}", number, "й",
    ):  # fmt: skip
        with pytest.raises(Throttled):
            await centre.accounts.login("maria", PASSWORD, centre.code("maria"), made_up)
    centre.clock.passes(days=90)
    await wrong(centre, "maria")
    with pytest.raises(Throttled):
        await centre.accounts.login("maria", PASSWORD, centre.code("maria"), hers)


async def test_once_she_was_frozen_her_browsers_are_strangers(centre: Centre) -> None:
    await centre.session_of("maria")
    before = await her_browser(centre)
    centre.clock.passes(minutes=1)
    await centre.accounts.freeze("maria")
    await wrong(centre, "maria", before)
    member = await centre.store.staff_by_login("maria")
    assert member is not None
    await centre.store.set_staff_state(member.id, StaffState.ACTIVE)
    with pytest.raises(Throttled):
        await centre.accounts.login("maria", PASSWORD, centre.code("maria"), before)
    centre.clock.passes(minutes=16)
    assert await centre.accounts.login("maria", PASSWORD, centre.code("maria"))
    after = await her_browser(centre)
    await wrong(centre, "maria")
    centre.clock.passes(minutes=1)
    assert await centre.accounts.login("maria", PASSWORD, centre.code("maria"), after)


async def test_who_was_removed_and_invited_again_has_no_known_browser(centre: Centre) -> None:
    before = await centre.person("maria")
    browser = await her_browser(centre)
    await centre.store.remove_staff(before.id)
    await centre.session_of("maria")
    await wrong(centre, "maria")
    with pytest.raises(Throttled):
        await centre.accounts.login("maria", PASSWORD, centre.code("maria"), browser)


async def test_a_browsers_cookie_does_not_say_whose_it_is(centre: Centre) -> None:
    member = await centre.person("maria")
    name, value = centre.accounts.browser_cookie(" Maria "), await her_browser(centre)
    assert name == centre.accounts.browser_cookie("maria")
    assert name != centre.accounts.browser_cookie("elena")
    assert re.fullmatch(r"[a-z0-9.-]+", name + value)
    assert not any(word in name + value for word in ("maria", member.id))


async def test_that_a_name_was_shut_is_told_once_in_a_quarter_of_an_hour(centre: Centre) -> None:
    member = await centre.person("maria")
    told = alarms("login_shut")
    for quarter in (1, 2):
        await wrong(centre, "maria", times=MAX_FAILURES - 1)
        assert (await centre.audited()).count((member.id, "login.shut")) == quarter - 1
        await wrong(centre, "maria", times=1)
        await wrong(centre, "maria", await her_browser(centre))
        for _ in range(3):
            with pytest.raises(Throttled):
                await centre.accounts.login("maria", PASSWORD, "000000")
        assert (await centre.audited()).count((member.id, "login.shut")) == quarter
        assert alarms("login_shut") == told + quarter
        centre.clock.passes(minutes=16)


async def test_a_flood_of_invented_names_ends_and_a_known_browser_goes_on(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    await centre.session_of("maria")
    browser, told = await her_browser(centre), alarms("logins_flooded")
    centre.clock.passes(minutes=1)
    monkeypatch.setattr("bot.desk.accounts.MAX_STRANGERS", 7)
    for number in range(7):
        await wrong(centre, f"name{number}", times=1)
    for login in ("name7", "maria"):  # the answer does not tell which there is
        with pytest.raises(Throttled):
            await centre.accounts.login(login, PASSWORD, centre.code("maria"))
    assert (await centre.store.counts())["failed_logins"] == 7
    assert alarms("logins_flooded") == told + 1
    assert (await centre.audited())[0] == (None, "login.flooded")
    assert await centre.accounts.login("maria", PASSWORD, centre.code("maria"), browser)
    centre.clock.passes(minutes=16)
    assert await centre.accounts.login("maria", PASSWORD, centre.code("maria"))


async def test_strangers_at_once_wait_only_so_many_and_keep_nobody_whom_we_know_waiting(
    centre: Centre,
) -> None:
    await centre.session_of("maria")
    browser = await her_browser(centre)
    centre.clock.passes(minutes=1)
    async with centre.accounts._strangers:  # a stranger's password is being looked at
        logins = (centre.accounts.login(f"name{n}", PASSWORD, "0") for n in range(MOST_WAITING + 9))
        flood = asyncio.gather(*logins, return_exceptions=True)
        assert await centre.accounts.login("maria", PASSWORD, centre.code("maria"), browser)
    refused = [type(each) for each in await flood]
    assert (refused.count(LoginRefused), refused.count(Throttled)) == (MOST_WAITING, 9)
    await wrong(centre, "somebody", times=1)


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


@pytest.fixture
def elsewhere(centre: Centre) -> Accounts:
    """The accounts as another process has them."""
    return Accounts(centre.store, centre.vault, centre.clock, QUICK)


async def test_a_session_in_which_nobody_worked_for_two_hours_is_over_everywhere(
    centre: Centre, elsewhere: Accounts
) -> None:
    session = await centre.session_of("maria")
    centre.clock.passes(minutes=121)
    assert await elsewhere.session(session) is None
    assert await centre.accounts.session(session) is None


async def test_work_at_another_process_keeps_the_session_alive(
    centre: Centre, elsewhere: Accounts
) -> None:
    session = await centre.session_of("maria")
    for _ in range(5):
        centre.clock.passes(minutes=30)
        assert await elsewhere.session(session)
        assert await centre.accounts.session(session, active=False)
    assert await centre.accounts.session(session)


async def test_work_is_written_down_every_few_minutes_at_most(centre: Centre) -> None:
    session, seen = await centre.session_of("maria"), set()
    for _ in range(40):
        centre.clock.passes(seconds=10)
        assert await centre.accounts.session(session)
        async with centre.store._database.read() as connection:
            seen.add((await connection.execute(select(sessions.c.seen_at))).scalar_one())
    assert len(seen) == 1 + 400 // SEEN_STEP.total_seconds()


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


async def shut_out(centre: Centre, state: StaffState) -> tuple[str, str]:
    """Somebody with an open page, frozen or removed since; her account's id, and the session."""
    session = await centre.session_of("maria")
    member = await centre.accounts.session(session)
    assert member is not None
    if state is StaffState.FROZEN:
        await centre.accounts.freeze("maria")
    else:
        await centre.store.remove_staff(member.id)
    return member.id, session


@pytest.mark.parametrize("state", [StaffState.FROZEN, StaffState.REMOVED])
async def test_the_open_page_of_somebody_shut_out_is_written_down_now_and_then(
    centre: Centre, state: StaffState
) -> None:
    staff_id, session = await shut_out(centre, state)
    line = (staff_id, f"refused.{state.value}")
    for active in (False, True, True):
        assert await centre.accounts.session(session, active) is None
        assert (await centre.audited()).count(line) == 1
    centre.clock.passes(minutes=16)
    await centre.store.purge(centre.clock())
    assert await centre.accounts.session(session) is None
    assert (await centre.audited()).count(line) == 2


@pytest.mark.parametrize("state", [StaffState.FROZEN, StaffState.REMOVED])
async def test_a_login_of_somebody_shut_out_is_written_down_now_and_then(
    centre: Centre, state: StaffState
) -> None:
    staff_id, _ = await shut_out(centre, state)
    centre.clock.passes(hours=13)
    await centre.store.purge(centre.clock())
    line = (staff_id, f"refused.{state.value}")
    for times in (1, 2):
        centre.clock.passes(minutes=16)
        for _ in range(2):
            with pytest.raises(LoginRefused):
                await centre.accounts.login("Maria", PASSWORD, centre.code("maria"))
        assert (await centre.audited()).count(line) == times
    assert {each for each in await centre.audited() if "login" in each[1]} == set()


async def test_who_was_let_in_again_needs_a_new_session_and_nobody_writes_her_down(
    centre: Centre,
) -> None:
    staff_id, session = await shut_out(centre, StaffState.FROZEN)
    await centre.store.set_staff_state(staff_id, StaffState.ACTIVE)
    assert await centre.accounts.session(session) is None
    assert (staff_id, "refused.frozen") not in await centre.audited()


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
