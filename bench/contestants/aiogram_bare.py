"""A bare bot of aiogram's, with its default polling: each update is a task of its own."""

from __future__ import annotations

import asyncio

from aiogram import Bot, Dispatcher
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.filters import CommandStart
from aiogram.types import CallbackQuery, InlineKeyboardButton, InlineKeyboardMarkup, Message

from bench.contestants import Told


def bot_of(told: Told) -> Bot:
    """A bot that speaks to the stand-in."""
    server = TelegramAPIServer.from_base(told.api)
    return Bot(told.token, session=AiohttpSession(api=server))


def run(told: Told) -> None:
    """Run until it is stopped."""
    tree = told.tree
    shown = {
        name: InlineKeyboardMarkup(
            inline_keyboard=[
                [InlineKeyboardButton(text=b.label, callback_data=b.to or "-") for b in row]
                for row in screen.rows
            ]
        )
        for name, screen in tree.screens.items()
    }
    dispatcher = Dispatcher()

    @dispatcher.message(CommandStart())
    async def start(message: Message) -> None:
        await message.answer(tree.screens[tree.home].text, reply_markup=shown[tree.home])

    @dispatcher.callback_query()
    async def tapped(query: CallbackQuery) -> None:
        to = query.data
        edit = query.message.edit_text(tree.screens[to].text, reply_markup=shown[to])
        await asyncio.gather(bot(query.answer()), bot(edit))

    bot = bot_of(told)
    asyncio.run(dispatcher.start_polling(bot))
