"""Run files kept by commit, in a folder or on a branch of the repository.

Each commit has a folder `20261126T155500Z-0123456789ab`: its time, so that names sort by age, and
the beginning of its hash. Run files are named by workload and content, so that the same file is
kept once and repeats stand side by side. On a branch, which shares no commit with the others, the
same folders are the tree; nothing is checked out and the index is left alone.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from io import BytesIO
from pathlib import Path

from leak_suite.compare import profiles, read_runs
from leak_suite.errors import ConfigurationError
from leak_suite.fsutil import file_name, write_whole
from leak_suite.history.tracks import KeptCommit

__all__ = ["Revision", "keep_in_folder", "keep_on_branch", "read_branch", "read_folder", "revision"]

_FOLDER = re.compile(r"(\d{8}T\d{6}Z)-([0-9a-f]{7,64})")
_HASH = 12


class Revision:
    """A commit of the repository that the command was started in: its full hash, and its time."""

    def __init__(self, sha: str, time: datetime) -> None:
        self.sha = sha
        self.time = time

    @property
    def folder(self) -> str:
        """The name of its folder in a history."""
        return f"{self.time.astimezone(timezone.utc):%Y%m%dT%H%M%SZ}-{self.sha[:_HASH]}"


def revision(name: str = "HEAD") -> Revision:
    """The commit of that name.

    Raises:
        ConfigurationError: there is no repository here, no commit in it, or none of that name.
    """
    _git("rev-parse", "--git-dir")
    try:
        sha = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    except ConfigurationError:
        if name == "HEAD":
            raise ConfigurationError(
                "this repository has no commit yet; commit what was measured, then keep its runs"
            ) from None
        raise ConfigurationError(f"--commit: there is no commit {name!r} here") from None
    seconds = int(_git("show", "--no-patch", "--format=%ct", sha))
    return Revision(sha, datetime.fromtimestamp(seconds, timezone.utc))


def keep_in_folder(paths: Sequence[Path], commit: Revision, folder: Path) -> tuple[Path, ...]:
    """Keep the run files among `paths`, which may be folders of them; the files that it made.

    Raises:
        ConfigurationError: there is none.
        RunFileError: one cannot be read; nothing is kept then.
    """
    files = _files(paths)
    kept = [folder / commit.folder / name for name in files]
    for path, text in zip(kept, files.values(), strict=True):
        write_whole(path, text)
    return tuple(kept)


def keep_on_branch(paths: Sequence[Path], commit: Revision, branch: str) -> tuple[str, ...]:
    """The same as a commit on `branch`, which is begun where it does not exist; the paths in it."""
    files = _files(paths)
    reference = f"refs/heads/{branch}"
    _git("check-ref-format", reference)
    try:
        parent = _git("rev-parse", "--verify", "--quiet", reference)
    except ConfigurationError:
        parent = ""
    if parent and _git("rev-parse", "--abbrev-ref", "HEAD") == branch:
        raise ConfigurationError(f"--branch: {branch} is checked out; a history has its own branch")
    kept = {f"{commit.folder}/{name}": text for name, text in files.items()}
    with tempfile.TemporaryDirectory(prefix="leak-suite-") as scratch:
        index = {"GIT_INDEX_FILE": str(Path(scratch) / "index")}
        if parent:
            _git("read-tree", parent, environment=index)
        for path, text in kept.items():
            blob = _git("hash-object", "-w", "--stdin", text=text)
            _git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", environment=index)
        tree = _git("write-tree", environment=index)
    if parent and tree == _git("rev-parse", f"{parent}^{{tree}}"):
        return tuple(kept)
    parents = ("-p", parent) if parent else ()
    message = f"Runs of {commit.sha[:_HASH]}"
    made = _git("commit-tree", tree, *parents, "-m", message, environment=_identity())
    _git("update-ref", reference, made, parent or "0" * len(made))
    return tuple(kept)


def read_folder(folder: Path) -> tuple[KeptCommit, ...]:
    """The commits whose runs are kept in `folder`, oldest first.

    Raises:
        ConfigurationError: there are none, or a workload is there in two forms.
        RunFileError: a file cannot be read, or is of a newer version.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"{folder}: no such folder; leak-suite history add makes it")
    found = []
    for path in sorted(folder.iterdir()):
        name = _FOLDER.fullmatch(path.name)
        if name is None or not path.is_dir():
            continue
        time = datetime.strptime(name[1], "%Y%m%dT%H%M%SZ").strftime("%Y-%m-%dT%H:%M:%SZ")
        found.append(KeptCommit(name[2], time, {one.subject: one for one in profiles(path)}))
    if not found:
        raise ConfigurationError(
            f"{folder}: no runs are kept there; add some with leak-suite history add RUN.json"
        )
    return tuple(found)


def read_branch(branch: str) -> tuple[KeptCommit, ...]:
    """The commits whose runs are kept on a branch, here or of the remote `origin`."""
    _git("rev-parse", "--git-dir")
    for reference in (f"refs/heads/{branch}", f"refs/remotes/origin/{branch}"):
        try:
            tree = _git("rev-parse", "--verify", "--quiet", f"{reference}^{{tree}}")
        except ConfigurationError:
            continue
        with tempfile.TemporaryDirectory(prefix="leak-suite-") as scratch:
            _extract(_git_bytes("archive", "--format=tar", tree), Path(scratch))
            return read_folder(Path(scratch))
    raise ConfigurationError(
        f"there is no branch {branch}; leak-suite history add --branch {branch} begins it, "
        f"git fetch origin {branch} brings that of others"
    )


def _identity() -> dict[str, str]:
    """Who commits where nobody is named, as on most runners of CI; else nothing."""
    try:
        _git("var", "GIT_AUTHOR_IDENT")
        _git("var", "GIT_COMMITTER_IDENT")
    except ConfigurationError:
        names = {f"GIT_{role}_NAME": "leak-suite" for role in ("AUTHOR", "COMMITTER")}
        mails = {f"GIT_{role}_EMAIL": "leak-suite@localhost" for role in ("AUTHOR", "COMMITTER")}
        return {key: os.environ.get(key, value) for key, value in {**names, **mails}.items()}
    return {}


def _files(paths: Sequence[Path]) -> dict[str, str]:
    """The text of each run file by the name that it is kept under."""
    runs = read_runs(paths)
    if not runs:
        raise ConfigurationError(
            "there is no run file to keep; write one with leak-suite run … -o RUN.json"
        )
    files = {}
    for run in runs:
        text = run.to_json()
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        files[f"{file_name(run.workload)}-{digest}.json"] = text
    return files


def _extract(archive: bytes, folder: Path) -> None:
    """Only plain files one folder deep: whatever else is on the branch is not of the history."""
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        for member in tar:
            directory, _, name = member.name.partition("/")
            content = tar.extractfile(member) if member.isfile() else None
            if content is None or not _FOLDER.fullmatch(directory) or "/" in name:
                continue
            (folder / directory).mkdir(exist_ok=True)
            (folder / directory / name).write_bytes(content.read())


def _git(*words: str, text: str | None = None, environment: Mapping[str, str] | None = None) -> str:
    given = None if text is None else text.encode()
    return _git_bytes(*words, given=given, environment=environment).decode().strip()


def _git_bytes(
    *words: str, given: bytes | None = None, environment: Mapping[str, str] | None = None
) -> bytes:
    try:
        done = subprocess.run(
            ["git", *words],
            input=given,
            capture_output=True,
            check=True,
            env={**os.environ, **(environment or {})},
        )
    except FileNotFoundError:
        raise ConfigurationError("git is not installed; a history is kept by commit") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()
        raise ConfigurationError(f"git {words[0]}: {said[-1] if said else 'failed'}") from None
    return done.stdout
