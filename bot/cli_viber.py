"""`phen viber`: tell Viber where we are, and ask what it knows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import typer

from bot.app import Phen
from bot.channels.base import Refused, SendError, Unauthorised, Unsent
from bot.channels.viber import ViberChannel
from bot.cli_common import Mistake, with_store

T = TypeVar("T")
app = typer.Typer(
    help="Tell Viber where we are, and ask what it knows. Example: phen viber info",
    no_args_is_help=True,
)


@app.command("set-webhook")
def set_viber_webhook() -> None:
    """Let Viber call us; `phen run` must be running. Example: phen viber set-webhook"""

    async def set_it(channel: ViberChannel) -> str:
        await channel.set_webhook()
        return channel.webhook

    typer.echo(f"Viber took the address and calls {_ask_viber(set_it)} from now on.")


@app.command("info")
def viber_info() -> None:
    """Show what Viber says of the bot, and whether it calls us. Example: phen viber info"""

    async def look(channel: ViberChannel) -> tuple[Mapping[str, Any], str]:
        return await channel.account(), channel.webhook

    told, ours = _ask_viber(look)
    for name, value in told.items():
        typer.echo(f"{name:18} {', '.join(value) if isinstance(value, list) else value}")
    if told.get("webhook") != ours:
        raise Mistake(f"Viber does not call {ours}; run `phen viber set-webhook`.")


def _ask_viber(ask: Callable[[ViberChannel], Awaitable[T]]) -> T:
    async def asked(phen: Phen) -> T:
        if phen.viber is None:
            raise Mistake("PHEN_VIBER_TOKEN is not set; put the bot's token there.")
        return await ask(phen.viber)

    try:
        return with_store(asked)
    except SendError as error:
        told = next(words for kind, words in _VIBER_SAYS.items() if isinstance(error, kind))
        raise Mistake(told) from None


_VIBER_SAYS: dict[type[SendError], str] = {  # the last one fits every other
    Unauthorised: "Viber does not accept the token, or has blocked the bot; compare"
    " PHEN_VIBER_TOKEN with the bot's settings in Viber.",
    Refused: "Viber does not accept the address; it must begin with https://, have a certificate"
    " that phones trust, and `phen run` must answer there.",
    Unsent: "Viber cannot be reached; check the network and PHEN_VIBER_API.",
    SendError: "Viber's answer was lost or makes no sense; try again in a minute.",
}
