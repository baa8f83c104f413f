"""python-telegram-bot's ConversationHandler with PicklePersistence: a state for each screen."""

from __future__ import annotations

import asyncio

from telegram import Update
from telegram.ext import (
    CallbackQueryHandler,
    CommandHandler,
    ConversationHandler,
    PicklePersistence,
)

from bench.contestants import Told
from bench.contestants.ptb import builder, keyboards


def run(told: Told) -> None:
    """Run until it is stopped."""
    tree, shown = told.tree, keyboards(told.tree)

    async def start(update: Update, context: object) -> str:
        home = tree.screens[tree.home]
        await update.message.reply_text(home.text, reply_markup=shown[tree.home])
        return tree.home

    async def tapped(update: Update, context: object) -> str:
        query = update.callback_query
        to = query.data
        edit = query.edit_message_text(tree.screens[to].text, reply_markup=shown[to])
        await asyncio.gather(query.answer(), edit)
        return to

    conversation = ConversationHandler(
        entry_points=[CommandHandler("start", start)],
        states={
            name: [
                CallbackQueryHandler(tapped, pattern=f"^{to}$")
                for to in dict.fromkeys(to for _, to in tree.exits(name))
            ]
            for name in tree.screens
        },
        fallbacks=[CommandHandler("start", start)],
        name="screens",
        persistent=True,
    )
    persistence = PicklePersistence(told.folder / "conversations.pickle")
    application = builder(told).persistence(persistence).build()
    application.add_handler(conversation)
    application.run_polling()
