"""aiogram-dialog with a window for each screen, and its memory storage."""

from __future__ import annotations

import asyncio

from aiogram import Dispatcher
from aiogram.filters import CommandStart
from aiogram.fsm.state import State, StatesGroup
from aiogram.types import Message
from aiogram_dialog import Dialog, DialogManager, StartMode, Window, setup_dialogs
from aiogram_dialog.widgets.kbd import Button, Row, SwitchTo
from aiogram_dialog.widgets.text import Const

from bench.contestants import Told
from bench.contestants.aiogram_bare import bot_of
from bench.tree import Screen


def run(told: Told) -> None:
    """Run until it is stopped."""
    tree = told.tree
    states = type("Screens", (StatesGroup,), {name: State() for name in tree.screens})

    def window(name: str, screen: Screen) -> Window:
        rows = [
            Row(
                *(
                    SwitchTo(Const(button.label), id=f"b{row}_{place}", state=to)
                    if (to := getattr(states, button.to or "", None)) is not None
                    else Button(Const(button.label), id=f"b{row}_{place}")
                    for place, button in enumerate(buttons)
                )
            )
            for row, buttons in enumerate(screen.rows)
        ]
        return Window(Const(screen.text), *rows, state=getattr(states, name))

    dispatcher = Dispatcher()

    @dispatcher.message(CommandStart())
    async def start(message: Message, dialog_manager: DialogManager) -> None:
        home = getattr(states, tree.home)
        await dialog_manager.start(home, mode=StartMode.RESET_STACK)

    dispatcher.include_router(Dialog(*(window(*each) for each in tree.screens.items())))
    setup_dialogs(dispatcher)
    asyncio.run(dispatcher.start_polling(bot_of(told)))
