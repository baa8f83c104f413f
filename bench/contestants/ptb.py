"""A bare bot of python-telegram-bot's: `one` update after another (its default), or `many` at once.

Both calls of a tap are made together, which is the quickest that can be written with it.
"""

from __future__ import annotations

import asyncio

from telegram import InlineKeyboardButton, InlineKeyboardMarkup, Update
from telegram.ext import Application, ApplicationBuilder, CallbackQueryHandler, CommandHandler

from bench.contestants import Told
from bench.tree import Tree


def keyboards(tree: Tree) -> dict[str, InlineKeyboardMarkup]:
    """Each screen's buttons, made once; their payload is the screen that they lead to."""
    return {
        name: InlineKeyboardMarkup(
            [
                [InlineKeyboardButton(b.label, callback_data=b.to or "-") for b in row]
                for row in screen.rows
            ]
        )
        for name, screen in tree.screens.items()
    }


def builder(told: Told) -> ApplicationBuilder:
    """An application that speaks to the stand-in, with everything else as it is by default."""
    return Application.builder().token(told.token).base_url(f"{told.api}/bot")


def run(told: Told, updates: str) -> None:
    """Run until it is stopped."""
    tree, shown = told.tree, keyboards(told.tree)

    async def start(update: Update, context: object) -> None:
        home = tree.screens[tree.home]
        await update.message.reply_text(home.text, reply_markup=shown[tree.home])

    async def tapped(update: Update, context: object) -> None:
        query = update.callback_query
        to = query.data
        edit = query.edit_message_text(tree.screens[to].text, reply_markup=shown[to])
        await asyncio.gather(query.answer(), edit)

    application = builder(told).concurrent_updates(updates == "many").build()
    application.add_handler(CommandHandler("start", start))
    application.add_handler(CallbackQueryHandler(tapped))
    application.run_polling()
