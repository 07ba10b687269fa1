"""The smallest typer program with two commands."""

from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def submit(path: str, problem: Annotated[str, typer.Option(help="What it solves.")], json: bool = False) -> None:
    """Submit code."""


@app.command()
def watch(number: int, json: bool = False) -> None:
    """Follow a submission."""


app()
