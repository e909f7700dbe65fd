"""`grapebench leaderboard …`: the board in a folder. One module a command."""

from __future__ import annotations

import typer

from grapebench.cli.leaderboard import add, build, diff, publish, release, renew, schema, site

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Build the leaderboard and publish results into its folder."
)
app.command()(build.build)
app.command()(build.check)
app.command()(publish.publish)
app.command()(add.add)
app.command()(renew.renew)
app.command()(release.release)
app.command()(diff.diff)
app.command()(site.site)
app.command()(schema.schema)
