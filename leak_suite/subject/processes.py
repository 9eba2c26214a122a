"""The subject's processes: which are there, in which groups, and what each of them holds."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any, cast

import psutil

from leak_suite.errors import SubjectError
from leak_suite.metrics import METRICS
from leak_suite.metrics.process_tree import private_dirty
from leak_suite.result import Row
from leak_suite.subject.agents import AgentHub, AgentLink, Life, life_of
from leak_suite.subject.attach import Attachment
from leak_suite.subject.base import ProcessComposition
from leak_suite.subject.command_lines import (
    Strays,
    command_of,
    runs_python,
    short_name,
    why_no_agent,
)
from leak_suite.subject.trace_data import TraceAnswer, TracePlan, TraceStart

__all__ = ["MAIN", "Coverage", "Member", "ProcessReading", "Processes", "words_of"]

MAIN = "main process"
_READ_SECONDS = 15.0
_TRACE_SECONDS = 120.0
_STANDARD_HELPERS = ("multiprocessing.resource_tracker", "multiprocessing.semaphore_tracker")
_READ_BY_AGENT = tuple(m.name for m in METRICS.values() if m.per_process and m.inside)
_FIRST_SIGHTS = 2
"""A Python process is called one without an agent after so many readings: it may be starting."""


@dataclass(frozen=True)
class ProcessReading:
    """What one process held; `group` is the label of those that share its role."""

    group: str
    values: Mapping[str, float | None]


@dataclass(frozen=True)
class Coverage:
    """The agent is in `inside` of `python` Python processes; `without` names the others."""

    inside: int
    python: int
    without: tuple[str, ...] = ()


@dataclass
class Member:
    """One process as it was when it was first seen."""

    life: Life
    parent: int
    command: str
    python: bool
    helper: bool
    group: str = ""
    sights: int = 0
    ready: bool = False
    first: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Traced:
    """A process that is being traced; `others` is how much its group had grown without it."""

    member: Member
    metric: str
    others: float


class Processes:
    """Every process below `root`, the root itself included unless `driven` reads it already.

    A group is what shares a role: processes forked by one and the same program, or started by it
    with the same arguments, numbers in them aside. With an `attachment` the agent is brought into
    those that do not come with one.
    """

    def __init__(
        self,
        hub: AgentHub,
        root: int,
        *,
        driven: bool = False,
        attachment: Attachment | None = None,
    ) -> None:
        self._hub = hub
        self._attachment = attachment
        self._root = root
        self._driven = driven
        self._members: dict[Life, Member] = {}
        self._frozen = False
        self._strays = Strays(hub)
        self._asking = threading.Lock()
        self._traced: dict[str, _Traced] = {}

    def other_agents(self) -> list[AgentLink]:
        """The agents in processes other than the one that is driven."""
        driven = self._root if self._driven else None
        return [link for link in self._hub.links() if link.life.pid != driven]

    def attach(self) -> None:
        """Bring the agent into every Python process that has none.

        One that is seen for the first time may be starting, unless it is there at the first look.
        """
        if self._attachment is None:
            return
        least = _FIRST_SIGHTS if self._members else 1
        self._attachment.reach(
            [
                m.life
                for m in self._refresh()
                if m.python and not m.helper and m.sights >= least and not self._has_agent(m)
            ]
        )

    def read(self) -> dict[Life, ProcessReading]:
        """Settle every process that has an agent, and read all; those just ending are left out."""
        self.attach()
        members = [m for m in self._refresh() if not (self._driven and m.life.pid == self._root)]
        links = [link for m in members if (link := self._hub.link(m.life)) is not None]
        with self._asking:
            self._prepare(links)
            answers = self._hub.ask(links, "read", _READ_SECONDS)
        readings: dict[Life, ProcessReading] = {}
        for member in members:
            answer = answers.get(member.life)
            if answer is not None and "values" in answer:
                values = {name: answer["values"].get(name) for name in _READ_BY_AGENT}
            elif member.python and member.sights < _FIRST_SIGHTS:
                continue
            else:
                values = _outside(member.life.pid)
            values["private_dirty"] = private_dirty(member.life.pid)
            if life_of(member.life.pid) is None:
                continue
            readings[member.life] = ProcessReading(member.group, values)
            for name, value in values.items():
                if value is not None:
                    member.first.setdefault(name, value)
                    member.last[name] = value
        return readings

    def compositions(
        self, ask_driven: Callable[[], Mapping[str, Any]] | None = None
    ) -> dict[int, ProcessComposition]:
        """What the processes hold, by process id; `ask_driven` asks the one that is driven.

        Agents are asked for nothing else, so that their processes stay as they are.
        """
        members = self._refresh()
        links = [link for m in members if (link := self._hub.link(m.life)) is not None]
        if ask_driven is not None:
            links = [link for link in links if link.life.pid != self._root]
        with self._asking:
            answers = self._hub.ask(links, "composition", _READ_SECONDS)
        found = {}
        for member in members:
            driven = ask_driven is not None and member.life.pid == self._root
            answer = ask_driven() if ask_driven and driven else answers.get(member.life, {})
            inside = answer.get("composition", {})
            found[member.life.pid] = ProcessComposition(member.group, member.parent, inside)
        return found

    def freeze(self) -> int:
        """Warm-up is over: what is there now stays out of the collectors' way."""
        self._frozen = True
        with self._asking:
            answers = self._hub.ask(self.other_agents(), "freeze", _READ_SECONDS)
        return sum(int(answer.get("frozen", 0)) for answer in answers.values())

    def coverage(self) -> Coverage:
        """In how many of the Python processes that are there now the agent is."""
        living = [m for m in self._refresh() if m.python and not m.helper]
        with_agent = [m for m in living if self._has_agent(m)]
        without = [
            f"{short_name(m.command)} (pid {m.life.pid}{self._why_not(m)})"
            for m in living
            if not self._has_agent(m) and m.sights >= _FIRST_SIGHTS
        ]
        return Coverage(len(with_agent), len(with_agent) + len(without), tuple(without))

    def _why_not(self, member: Member) -> str:
        if self._attachment is not None:
            why = self._attachment.why_not(member.life)
        else:
            why = why_no_agent(member.life, member.command, self._hub)
        return f": {why}" if why else ""

    def without_agent(self) -> tuple[str, ...]:
        """Groups that were read from outside only, though Python runs in them."""
        found = {
            member.group
            for member in self._members.values()
            if member.python and not member.helper and not member.ready
            and member.sights >= _FIRST_SIGHTS and not self._has_agent(member)
        }  # fmt: skip
        return tuple(sorted(found))

    def environment(self) -> dict[str, Any]:
        """The interpreter of the first process with an agent."""
        for link in self._hub.links():
            if link.about:
                return dict(link.about)
        return {}

    def self_checks(self) -> tuple[dict[str, Any], dict[str, str]]:
        """(what probes saw of known amounts, by "metric (group)"; which are blind and why)."""
        checks: dict[str, Any] = {}
        blind: dict[str, str] = {}
        for link in self._hub.links():
            member = self._members.get(link.life)
            if member is None:
                continue
            # Resident memory is read from outside, which checks itself.
            for metric, check in link.self_check.items():
                if metric in _READ_BY_AGENT:
                    checks.setdefault(f"{metric} ({member.group})", check)
            blind.update(
                {metric: why for metric, why in link.blind.items() if metric in _READ_BY_AGENT}
            )
        return checks, blind

    def describe(self, group: str, metric: str) -> list[Row]:
        """The rows behind a metric in the process of `group` that grew most."""
        member = self.most_grown(group, metric)
        link = None if member is None else self._hub.link(member.life)
        if link is None:
            return []
        with self._asking:
            answer = self._hub.ask([link], f"describe {metric}", _READ_SECONDS).get(link.life, {})
        rows: list[Row] = answer.get("rows", [])
        return rows

    def _to_trace(self, group: str, metric: str) -> Member | None:
        """The process that grew most; where they are replaced, one that grows and has time left.

        How far one is from its end is not known, but what those that have ended had grown by is:
        one that idles has grown by little, and one near its end by as much.
        """
        lives = [m for m in self._members.values() if m.group == group and m.ready]
        ended = [m for m in lives if life_of(m.life.pid) is None]
        living = [m for m in lives if m not in ended and self._has_agent(m)]
        if not ended or not living:
            return self.most_grown(group, metric)
        usual = median(_rise(m, metric) for m in ended)

        def grown_and_left(member: Member) -> tuple[float, float]:
            grown = _rise(member, metric)
            return grown * max(0.0, usual - grown), grown

        return max(living, key=grown_and_left)

    def most_grown(self, group: str, metric: str) -> Member | None:
        """The living process of `group`, with an agent, in which `metric` rose most."""
        living = [
            m
            for m in self._members.values()
            if m.group == group and self._has_agent(m) and life_of(m.life.pid) is not None
        ]
        return max(living, key=lambda m: _rise(m, metric), default=None)

    def share(self, member: Member, metric: str) -> float:
        """The part of its group's growth that is in this process, 0 to 1."""
        group = [m for m in self._members.values() if m.group == member.group]
        total = sum(max(0.0, _rise(m, metric)) for m in group)
        return max(0.0, _rise(member, metric)) / total if total > 0 else 1.0

    def ask(self, member: Member, question: str, seconds: float = _TRACE_SECONDS) -> dict[str, Any]:
        """One question to the agent in one process; SubjectError where it is gone or fails."""
        link = self._hub.link(member.life)
        if link is None:
            raise SubjectError(f"process {member.life.pid} is gone")
        with self._asking:
            answer = self._hub.ask([link], question, seconds).get(member.life)
        if answer is None:
            raise SubjectError(f"process {member.life.pid} did not answer, or is gone")
        if set(answer) == {"error"}:
            raise SubjectError(f"the agent could not answer: {answer['error']}")
        return answer

    def begin_trace(self, plan: TracePlan, group: str) -> TraceStart:
        """Trace the process of `group` that grew most; the answer's `share` is its part of it."""
        metric = plan.get("metric", "heap")
        member = self._to_trace(group, metric)
        if member is None:
            raise SubjectError(f"no process of {group} has an agent")
        answer = cast("TraceStart", self.ask(member, f"trace_begin {words_of(plan)}"))
        self._traced[group] = _Traced(member, metric, self._rise_of_others(member, metric))
        return {**answer, "share": self.share(member, metric), "pid": member.life.pid}

    def mark_trace(self, group: str) -> None:
        """Begin the second window in the process of `group` that is being traced."""
        self.ask(self._traced[group].member, "trace_mark")

    def end_trace(self, group: str) -> TraceAnswer:
        """The answer's `others` is what the rest of the group grew by meanwhile, in that metric."""
        traced = self._traced[group]
        answer = cast("TraceAnswer", self.ask(traced.member, "trace_end"))
        others = self._rise_of_others(traced.member, traced.metric) - traced.others
        return {**answer, "others": others if traced.metric in traced.member.last else None}

    def _rise_of_others(self, member: Member, metric: str) -> float:
        group = [m for m in self._members.values() if m.group == member.group]
        return sum(_rise(m, metric) for m in group if m is not member)

    def leave(self) -> None:
        """Have every agent give its process back as it was."""
        with self._asking:
            self._hub.ask(self.other_agents(), "leave", _READ_SECONDS)

    # ---- who is there

    def _has_agent(self, member: Member) -> bool:
        if member.life.pid == self._root and self._driven:
            return True
        return self._hub.link(member.life) is not None

    def _prepare(self, links: list[AgentLink]) -> None:
        """Have new agents check what they can see, one in each group, and freeze what is there."""
        checked = {self._members[life].group for life in self._members if self._members[life].ready}
        new = []
        for link in links:
            member = self._members[link.life]
            if member.ready:
                continue
            member.ready = True
            if member.group not in checked:
                checked.add(member.group)
                answer = self._hub.ask([link], "self_check", _READ_SECONDS).get(link.life, {})
                link.self_check = answer.pop("self_check", {})
                link.blind = answer.pop("blind", {})
                link.about = answer
            if self._frozen:
                self._hub.ask([link], "freeze", _READ_SECONDS)
            new.append(link)
        self._hub.ask(new, "prewarm", _READ_SECONDS)

    def _refresh(self) -> list[Member]:
        """The processes that are there now, root first; new ones get their group."""
        found: dict[Life, Member] = {}
        pids = [self._root, *_descendants(self._root)]
        apart = [*(link.life.pid for link in self._hub.links()), *self._strays.pids()]
        pids += [pid for pid in dict.fromkeys(apart) if pid not in pids]
        for pid in pids:
            known = life_of(pid)
            if known is None:
                continue
            life, parent = known
            member = self._members.get(life)
            if member is None:
                member = self._members[life] = _first_sight(life, parent)
                member.group = self._group_of(member)
            link = self._hub.link(life)
            if link is not None:
                member.python = True
            member.sights += 1
            found[life] = member
        self._hub.remember(life for life in found if life.pid != self._root)
        return list(found.values())

    def _group_of(self, member: Member) -> str:
        if member.life.pid == self._root:
            return MAIN
        parents = [m for m in self._members.values() if m.life.pid == member.parent]
        parent = parents[-1] if parents else None
        link = self._hub.link(member.life)
        forked = link.forked if link is not None else False
        if parent is not None and (forked or parent.command == member.command):
            return f"forked from {short_name(parent.command)}"
        return re.sub(r"\d+", "#", short_name(member.command))


def words_of(plan: TracePlan) -> str:
    """The plan as one word of the wire: JSON without blanks."""
    return json.dumps(plan, separators=(",", ":")).replace(" ", "\\u0020")


def _rise(member: Member, metric: str) -> float:
    return member.last.get(metric, 0.0) - member.first.get(metric, 0.0)


def _descendants(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return []


def _first_sight(life: Life, parent: int) -> Member:
    command = command_of(life.pid)
    helper = any(name in command for name in _STANDARD_HELPERS)
    return Member(life, parent, command, python=runs_python(life.pid), helper=helper)


def _outside(pid: int) -> dict[str, float | None]:
    try:
        process = psutil.Process(pid)
        return {"fds": float(process.num_fds()), "threads": float(process.num_threads())}
    except (psutil.Error, OSError):
        return {}
