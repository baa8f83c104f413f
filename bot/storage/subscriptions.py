"""Who wants to be reminded of which receptions.

An address stands here only where something is to be sent to it. What is due is looked after in
`reminding`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.privacy.retention import known_at, whole_hour
from bot.privacy.vault import Tampered
from bot.storage import reminding, said
from bot.storage.leftovers import Leftover, Leftovers, forget_leftovers, leave
from bot.storage.mail_counts import drop
from bot.storage.mail_records import CentreWords
from bot.storage.part import log, new_id
from bot.storage.reminding import BATCH, FreeUntil
from bot.storage.rows import (
    RECEPTION,
    WITH_RECEPTION,
    its_reception,
    knowledge,
    reception_of,
    subscription_of,
)
from bot.storage.tables import cases, receptions, subscriptions
from scheduler import plan
from scheduler.model import SAFE_HOURS, Reception, Subscription

AT_ONCE = 20
"""Rounds of one tick: then others may write, and the next tick goes on."""


class Subscriptions(Leftovers):
    """Keeps reminders, and puts what is due into the mailings."""

    async def subscribe(
        self,
        channel: str,
        address: str,
        language: str,
        municipality: str,
        hours: str,
        words: str | None,
    ) -> Subscription:
        """She wants to be reminded there; what she wanted there before counts no more.

        It is of the next reception that takes place, whose date she sees now, else of the first
        that will be planned. `words`: under which it comes to her phone; None: nothing is sent.
        """
        if hours not in SAFE_HOURS:
            raise ValueError("there are no such safe hours")
        now, row_id, index = self._now(), new_id(), self._index(channel, address)
        there = and_(
            subscriptions.c.address_index == index, subscriptions.c.municipality == municipality
        )
        async with self._database.write() as connection:
            old = (await connection.execute(select(subscriptions).where(there))).one_or_none()
            handle = None if old is None or words is None else self._reminder(old)
            if words is None:  # nothing comes any more that would take its place
                await leave(connection, there, now)
            await drop(connection, there, now)
            planned = await reminding.coming(connection, municipality, now)
            row = {
                "id": row_id,
                "channel": channel,
                "address_index": index,
                "address": None if words is None else self._seal("address", row_id, address),
                "language": language,
                "municipality": municipality,
                "hours": hours,
                "words": words,
                "news": False,
                "handle": handle and self._seal("handle", row_id, handle),
                **reminding.bound(plan.next_for(planned, municipality, now), now),
            }
            await connection.execute(subscriptions.insert().values(**row))
            query = select(subscriptions).where(subscriptions.c.id == row_id)
            made = (await connection.execute(query)).one()
        return subscription_of(made)

    async def subscriptions_of(
        self, channel: str, address: str
    ) -> list[tuple[Subscription, Reception | None]]:
        """What she wants to be reminded of, by municipality; each with its reception."""
        query = WITH_RECEPTION.where(
            subscriptions.c.address_index == self._index(channel, address)
        ).order_by(subscriptions.c.municipality)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [(subscription_of(row), its_reception(row)) for row in rows]

    async def reminded_in(self, channel: str, address: str) -> str | None:
        """The language of a reminder that may stand in her chat, as it came; None: there is none.

        Once she has read behind the gate what it was about, something else stands there.
        """
        mine = subscriptions.c.address_index == self._index(channel, address)
        unread = mine, subscriptions.c.handle.is_not(None), subscriptions.c.news
        async with self._database.read() as connection:
            query = select(subscriptions.c.language).where(*unread).limit(1)
            return (await connection.execute(query)).scalar()

    async def news_for(self, channel: str, address: str) -> bool:
        """Whether something was to be told to her that she has not read since."""
        mine = subscriptions.c.address_index == self._index(channel, address)
        query = select(subscriptions.c.id).where(mine, subscriptions.c.news).limit(1)
        async with self._database.read() as connection:
            return (await connection.execute(query)).first() is not None

    async def broadcast_words(self, subscription_id: str, language: str) -> list[CentreWords]:
        """What the centre said lately to those who wait as she does, the newest first.

        In `language`, in which she reads; what was not said in that, in the one of her reminder.
        """
        mine = select(subscriptions).where(subscriptions.c.id == subscription_id)
        async with self._database.read() as connection:
            one = (await connection.execute(mine)).one_or_none()
            if one is None:
                return []
            found = await said.lately(connection, self._now())
        return [
            CentreWords(each.broadcast, text, each.is_for(one))
            for each in found
            if each.is_there(one)
            and (text := each.texts.get(language) or each.texts.get(one.language))
        ]

    async def seen(
        self,
        channel: str,
        address: str,
        shown: Sequence[tuple[Subscription, Reception | None]],
        words: Collection[str] = (),
    ) -> None:
        """She has read what `shown` says: no notice of it comes any more.

        `words`: the broadcasts that were known by then. What has changed since, and what the centre
        has said to her since, she has not read.
        """
        told = {one.id: reception and plan.fingerprint(reception) for one, reception in shown}
        if not told:
            return
        now = self._now()
        here = {"here_at": whole_hour(now), "next_at": whole_hour(now)}
        mine = subscriptions.c.address_index == self._index(channel, address)
        async with self._database.write() as connection:
            rows = [
                (row, subscription_of(row), reception)
                for row in (await connection.execute(WITH_RECEPTION.where(mine))).all()
                for reception in [its_reception(row)]
                if row.id in told and told[row.id] == (reception and plan.fingerprint(reception))
            ]
            known = subscriptions.c.id.in_([row.id for row, _, _ in rows])
            await reminding.drop_changes(connection, known)
            newer = [
                each for each in await said.lately(connection, now) if each.broadcast not in words
            ]
            for row, one, reception in rows:
                if reception is not None:
                    one = plan.after(one, reception, None, known_at(now))
                news = row.news and any(each.is_for(row) for each in newer)
                change = subscriptions.update().where(subscriptions.c.id == row.id)
                await connection.execute(change.values(**knowledge(one), **here, news=news))

    async def renew(self, channel: str, address: str, municipality: str) -> bool:
        """She wants to hear of the reception after this one, too; False: she waits for none."""
        mine = subscriptions.c.address_index == self._index(channel, address)
        there = subscriptions.c.municipality == municipality
        again = {"renew": True, "next_at": whole_hour(self._now())}
        async with self._database.write() as connection:
            change = subscriptions.update().where(mine, there).values(**again)
            return (await connection.execute(change)).rowcount > 0

    async def unsubscribe(self, channel: str, address: str) -> list[Leftover]:
        """She wants no reminder any more, nor to be rung for an answer in her case.

        Returns what of them stands in her chat: it is known until it is removed from there.
        """
        index = self._index(channel, address)
        mine, quiet = subscriptions.c.address_index == index, cases.c.address_index == index
        async with self._database.write() as connection:
            await leave(connection, mine, self._now())
            await drop(connection, mine, self._now())
            never = cases.update().where(quiet).values(nudge_hours=None, nudge_words=None)
            await connection.execute(never)
            return await self._leftovers_of(connection, index)

    async def _unsubscribe(
        self, connection: AsyncConnection, index: bytes, begun_before: datetime | None = None
    ) -> list[str]:
        """End her reminders; the handles of what stands in her chat, which are forgotten here."""
        mine = subscriptions.c.address_index == index
        if begun_before is not None:
            here = subscriptions.c.here_at
            mine = and_(mine, or_(here.is_(None), here < begun_before))
        rows = (await connection.execute(select(subscriptions).where(mine))).all()
        await drop(connection, mine, self._now())
        stands = [handle for row in rows if (handle := self._reminder(row)) is not None]
        stands += [each.handle for each in await self._leftovers_of(connection, index)]
        await forget_leftovers(connection, index)
        return stands

    # --- what is due -----------------------------------------------------------------------------

    async def remind(self, now: datetime, free_until: FreeUntil) -> int:
        """Put every reminder that is due now into the mailings; returns how many.

        To be called every few seconds, by one process.
        """
        enqueued = 0
        for _ in range(AT_ONCE):
            looked, found = await self._remind(now, free_until)
            enqueued += found
            if looked < BATCH:
                break
        return enqueued

    async def _remind(self, now: datetime, free_until: FreeUntil) -> tuple[int, int]:
        due = subscriptions.c.next_at <= now
        async with self._database.read() as connection:
            any_due = select(subscriptions.c.id).where(due).limit(1)
            if (await connection.execute(any_due)).first() is None:
                return 0, 0
        async with self._database.write() as connection:
            return await reminding.look(connection, now, free_until)

    # --- what the staff see ----------------------------------------------------------------------

    async def reminded_by(self, reception_ids: Collection[str]) -> Mapping[str, int]:
        """How many women wait for each of these receptions; none where nobody does."""
        of = subscriptions.c.reception_id
        query = select(of, func.count()).where(of.in_(reception_ids)).group_by(of)
        async with self._database.read() as connection:
            return {name: women for name, women in (await connection.execute(query)).all()}

    async def late_by(self, reception_ids: Collection[str] | None = None) -> Mapping[str, int]:
        """How many of them do not hear of its change before they set out; none where all do.

        Of all receptions, where none are named: of one that is over, too, as long as there are
        women who were told another date that is still to come, and do not know.
        """
        now = self._now()
        alike = [
            subscriptions.c[name]
            for name in ("municipality", "hours", "told", "told_start", "known_at", "until")
        ]
        silent = subscriptions.c.words.is_(None).label("silent")
        groups: Select[Any] = (
            select(*alike, silent, func.count().label("women"), *RECEPTION)
            .join_from(subscriptions, receptions, receptions.c.id == subscriptions.c.reception_id)
            .group_by(*alike, silent, receptions.c.id)
        )
        if reception_ids is not None:
            groups = groups.where(receptions.c.id.in_(reception_ids))
        late: Counter[str] = Counter()
        async with self._database.read() as connection:
            rows = (await connection.execute(groups)).all()
        for row in rows:
            reception = reception_of(row, "of_")
            alike_one = Subscription(
                id="",
                municipality=row.municipality,
                hours=row.hours,
                reception=reception.id,
                told=row.told,
                told_start=row.told_start,
                known_at=row.known_at,
                done=frozenset(),
                silent=row.silent,
                renew=False,
                until=row.until,
            )
            if not plan.in_time(alike_one, reception, now):
                late[reception.id] += row.women
        return late

    # --- sealed values ---------------------------------------------------------------------------

    def _reminder(self, row: Row[Any]) -> str | None:
        """The handle of the last reminder in her chat, if there is one."""
        if row.handle is None:
            return None
        try:
            sealed = self._vault.unseal("handle", "subscriptions", "handle", row.id, row.handle)
        except Tampered:  # it can remove nothing, and must not stop the others
            log.alarm("unreadable")
            return None
        return sealed.decode()
