"""`medidiff config ...`: what a configuration may say."""

import json

import typer

app = typer.Typer(help="What a configuration may say.", no_args_is_help=True)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a configuration, for editors that complete and check YAML."""
    from medidiff import config

    typer.echo(json.dumps(config.schema(), indent=2))


@app.command()
def reference() -> None:
    """Print the reference of all keys as Markdown; docs/configuration.md is this text."""
    from medidiff import reference

    typer.echo(reference.markdown(), nl=False)
