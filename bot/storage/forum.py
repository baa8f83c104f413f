"""The desk inside Telegram: which topic is whose case, so that a restart makes no second one.

No words stand here: numbers of messages, and keyed fingerprints of what they say.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.storage.part import Part
from bot.storage.records import Topic, TopicLine
from bot.storage.tables import moved_groups, topic_lines, topics


class ForumBook(Part):
    """Topics, what stands in each, and a group's newer id."""

    async def topics(self) -> list[Topic]:
        """Every topic that is not known to be deleted, those of cases that are gone too."""
        async with self._database.read() as connection:
            rows = (await connection.execute(select(topics))).all()
        return [Topic(row.case_id, row.chat, row.thread, row.told) for row in rows]

    async def topic_at(self, chat: int, thread: int) -> Topic | None:
        """Whose topic this is."""
        query = select(topics).where(topics.c.chat == chat, topics.c.thread == thread)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else Topic(row.case_id, row.chat, row.thread, row.told)

    async def add_topic(self, topic: Topic) -> None:
        """A case has this topic now, and nothing stands in it yet."""
        new = topics.insert().values(
            case_id=topic.case_id, chat=topic.chat, thread=topic.thread, told=topic.told
        )
        async with self._database.write() as connection:
            await self._drop(connection, topic.case_id)
            await connection.execute(new)

    async def topic_told(self, case_id: str) -> None:
        """What she says stands in this case's topic from now on."""
        change = topics.update().where(topics.c.case_id == case_id)
        async with self._database.write() as connection:
            await connection.execute(change.values(told=True))

    async def drop_topic(self, case_id: str) -> None:
        """The topic is deleted; twice is no error."""
        async with self._database.write() as connection:
            await self._drop(connection, case_id)

    async def topic_lines(self, case_id: str) -> list[TopicLine]:
        """What stands in a case's topic, as far as it is ours or answers a consultant's."""
        query = select(topic_lines).where(topic_lines.c.case_id == case_id)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [TopicLine(row.entry, row.part, row.line, row.answers, row.shown) for row in rows]

    async def save_line(self, case_id: str, line: TopicLine) -> bool:
        """Keep one line, in place of the one before. False: the case has no topic any more."""
        same = (topic_lines.c.entry == line.entry, topic_lines.c.part == line.part)
        new = topic_lines.insert().values(
            case_id=case_id,
            entry=line.entry,
            part=line.part,
            line=line.line,
            answers=line.answers,
            shown=line.shown,
        )
        there = select(topics.c.case_id).where(topics.c.case_id == case_id)
        async with self._database.write() as connection:
            if (await connection.execute(there)).one_or_none() is None:
                return False
            await connection.execute(
                topic_lines.delete().where(topic_lines.c.case_id == case_id, *same)
            )
            await connection.execute(new)
        return True

    async def drop_line(self, case_id: str, line: TopicLine) -> None:
        """This line stands there no more."""
        same = (topic_lines.c.entry == line.entry, topic_lines.c.part == line.part)
        async with self._database.write() as connection:
            await connection.execute(
                topic_lines.delete().where(topic_lines.c.case_id == case_id, *same)
            )

    async def newest_group(self, chat: int) -> int:
        """Under which id a group stands now that once had this one."""
        seen = {chat}
        while (newer := await self._moved_to(chat)) is not None and newer not in seen:
            chat = newer
            seen.add(chat)
        return chat

    async def group_moved(self, old: int, new: int) -> None:
        """The group has a newer id, and its topics with it."""
        async with self._database.write() as connection:
            await connection.execute(moved_groups.delete().where(moved_groups.c.old == old))
            await connection.execute(moved_groups.insert().values(old=old, new=new))
            await connection.execute(topics.update().where(topics.c.chat == old).values(chat=new))

    async def _moved_to(self, chat: int) -> int | None:
        query = select(moved_groups.c.new).where(moved_groups.c.old == chat)
        async with self._database.read() as connection:
            return (await connection.execute(query)).scalar_one_or_none()

    async def _drop(self, connection: AsyncConnection, case_id: str) -> None:
        await connection.execute(topic_lines.delete().where(topic_lines.c.case_id == case_id))
        await connection.execute(topics.delete().where(topics.c.case_id == case_id))
