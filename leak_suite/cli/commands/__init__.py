"""The commands of `leak-suite`, in the order of its help."""

from __future__ import annotations

from collections.abc import Sequence

from leak_suite.cli.command import Command
from leak_suite.cli.commands.advise import AdviseCommand
from leak_suite.cli.commands.baseline import BaselineCommand
from leak_suite.cli.commands.compare import CompareCommand
from leak_suite.cli.commands.explain import ExplainCommand
from leak_suite.cli.commands.fit import FitCommand
from leak_suite.cli.commands.flamegraph import FlamegraphCommand
from leak_suite.cli.commands.history import HistoryCommand
from leak_suite.cli.commands.init import InitCommand
from leak_suite.cli.commands.probes import ProbesCommand
from leak_suite.cli.commands.run import RunCommand
from leak_suite.cli.commands.show import ShowCommand

__all__ = ["COMMANDS"]

COMMANDS: Sequence[Command] = (
    InitCommand(),
    RunCommand(),
    ExplainCommand(),
    FitCommand(),
    AdviseCommand(),
    ShowCommand(),
    CompareCommand(),
    HistoryCommand(),
    FlamegraphCommand(),
    BaselineCommand(),
    ProbesCommand(),
)
