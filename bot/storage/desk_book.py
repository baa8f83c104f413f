"""What the desk has beside the cases: prepared answers, and the stop switch."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from bot.storage.part import Part, new_id
from bot.storage.records import Prepared, ShortcutTaken
from bot.storage.tables import prepared, switches

STOPPED = "stopped"


class DeskBook(Part):
    """Reads and changes them."""

    async def prepared(self) -> list[Prepared]:
        """All prepared answers, by language and shortcut."""
        query = select(prepared).order_by(prepared.c.language, prepared.c.shortcut)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [Prepared(row.id, row.language, row.shortcut, row.text) for row in rows]

    async def save_prepared(self, answer: Prepared) -> Prepared:
        """Change the answer of that id, or add it (an empty id). Raises `ShortcutTaken`."""
        values = {"language": answer.language, "shortcut": answer.shortcut, "text": answer.text}
        try:
            async with self._database.write() as connection:
                change = prepared.update().where(prepared.c.id == answer.id)
                if answer.id and (await connection.execute(change.values(**values))).rowcount:
                    return answer
                new = Prepared(new_id(), answer.language, answer.shortcut, answer.text)
                await connection.execute(prepared.insert().values(id=new.id, **values))
                return new
        except IntegrityError:
            raise ShortcutTaken from None

    async def delete_prepared(self, answer_id: str) -> bool:
        """Delete an answer; False if there is none."""
        async with self._database.write() as connection:
            gone = prepared.delete().where(prepared.c.id == answer_id)
            return (await connection.execute(gone)).rowcount == 1

    async def stopped(self) -> bool:
        """Whether the whole line is replaced by one static message."""
        query = select(switches.c.name).where(switches.c.name == STOPPED)
        async with self._database.read() as connection:
            return (await connection.execute(query)).first() is not None

    async def set_stopped(self, stopped: bool) -> None:
        """Stop the line, or let it go on; twice is no error."""
        async with self._database.write() as connection:
            await connection.execute(switches.delete().where(switches.c.name == STOPPED))
            if stopped:
                row = {"name": STOPPED, "at": self._now()}
                await connection.execute(switches.insert().values(**row))
