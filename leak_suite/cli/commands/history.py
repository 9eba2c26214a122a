"""`leak-suite history add` and `leak-suite history show`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from leak_suite.cli.command import Command, add_debug_flag
from leak_suite.cli.output import render_settings, write_or_print
from leak_suite.errors import ConfigurationError

__all__ = ["HistoryCommand"]

_FOLDER = Path("reports/history")


class HistoryCommand(Command):
    """Keep run files by commit, and show level and growth over commits."""

    name = "history"
    statuses = "status: 0 kept or shown, 2 could not"

    def prepare_parser(self, parser: ArgumentParser) -> None:
        """See Command."""
        from leak_suite.render import RENDERERS

        actions = parser.add_subparsers(required=True, metavar="ACTION", dest="action")
        text = "Keep run files under the commit that they are of"
        add = actions.add_parser(
            "add", help=text, description=f"{text}.", epilog=self.statuses, allow_abbrev=False
        )
        add.add_argument("runs", nargs="+", type=Path, help="run files, or folders of them")
        add.add_argument(
            "--commit", metavar="REV", default="HEAD", help="what was measured (default: HEAD)"
        )
        add.add_argument("--quiet", action="store_true", help="print nothing")
        text = "Show the figures of each workload over the commits, and where they changed"
        show = actions.add_parser(
            "show", help=text, description=f"{text}.", epilog=self.statuses, allow_abbrev=False
        )
        show.add_argument(
            "--last",
            metavar="N",
            type=int,
            default=200,
            help="so many commits at most (default: %(default)s)",
        )
        show.add_argument(
            "-o", "--output", metavar="FILE", type=Path, help="write there instead of printing"
        )
        formats = [name for name, one in RENDERERS.items() if one.shows_documents]
        show.add_argument(
            "--format",
            choices=formats,
            default="console",
            help="default: %(default)s; html draws the figures",
        )
        for action in (add, show):
            place = action.add_mutually_exclusive_group()
            place.add_argument(
                "--folder",
                metavar="DIR",
                type=Path,
                default=_FOLDER,
                help="where the history is (default: %(default)s)",
            )
            place.add_argument("--branch", help="a branch of the repository instead")
            action.set_defaults(subparser=action)
            add_debug_flag(action)

    def run(self, arguments: Namespace) -> int:
        """See Command."""
        return _add(arguments) if arguments.action == "add" else _show(arguments)


def _add(arguments: Namespace) -> int:
    from leak_suite.history.store import keep_in_folder, keep_on_branch, revision

    commit = revision(arguments.commit)
    if arguments.branch:
        kept = [
            f"{arguments.branch}:{path}"
            for path in keep_on_branch(arguments.runs, commit, arguments.branch)
        ]
    else:
        kept = [str(path) for path in keep_in_folder(arguments.runs, commit, arguments.folder)]
    if not arguments.quiet:
        for path in kept:
            print(f"kept {path}")
    return 0


def _show(arguments: Namespace) -> int:
    from leak_suite.history import follow
    from leak_suite.history.store import read_branch, read_folder
    from leak_suite.render import render

    if arguments.last < 1:
        raise ConfigurationError("--last must be at least 1")
    commits = read_branch(arguments.branch) if arguments.branch else read_folder(arguments.folder)
    history = follow(commits[-arguments.last :])
    text = render(history, arguments.format, render_settings(arguments.output))
    write_or_print(text, arguments.output)
    return 0
