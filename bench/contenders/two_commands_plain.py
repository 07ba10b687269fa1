"""The smallest program with typer that has commands at all, without rich."""

from typing import Annotated

import typer

app = typer.Typer(rich_markup_mode=None)


@app.command()
def submit(path: str, problem: Annotated[str, typer.Option(help="What it solves.")], json: bool = False) -> None:
    """Hand code in."""


@app.command()
def watch(number: int, json: bool = False) -> None:
    """Follow a submission."""


app()
