"""How much memory a job may take: the kernel's limit on its process, and refusals that name it.

The limit is RLIMIT_DATA, which counts the private writable memory of a process: all that an
allocator hands out, whether by `brk` or `mmap`. It needs no rights, unlike a control group, and
what it refuses comes back as a failed allocation, which a decoder reports; a control group kills.
It counts what is reserved and never touched as well, about 20 MiB of the detector, so the soft
limit is raised by that much once the detector has reserved it.
"""

from __future__ import annotations

import resource
from pathlib import Path
from types import TracebackType

from reference_app.pipeline.errors import OutOfMemory

__all__ = ["JOB_BASE_BYTES", "MIB", "MemoryBudget", "confine", "needs_too_much"]

MIB = 1024 * 1024
#: What a job takes apart from its decoder's pictures and its file's index: the detector 100 MiB,
#: the scaler, the encoder and the interpreter the rest. Measured on 720p and 1080p clips.
JOB_BASE_BYTES = 112 * MIB
#: Kept from the decoder for what runs between its packets: a decoder that gets no memory says so,
#: MediaPipe aborts the process. Until the encoder and the detector have all that they take it is
#: 20 MiB; later what comes and goes.
_BEFORE_RUNNING_BYTES = 24 * MIB
_WHILE_RUNNING_BYTES = 8 * MIB
#: The hard limit lies this much above the job's memory, for what is reserved and never touched.
_UNTOUCHED_BYTES = 48 * MIB


def confine(job_bytes: int) -> None:
    """Limit this process to what it has now and `job_bytes` more; for a process of one job.

    Where the kernel does not tell what a process has (no /proc), nothing is limited.
    """
    usage = _usage()
    if usage is None:
        return
    ceiling = resource.getrlimit(resource.RLIMIT_DATA)[1]
    limits = [usage[0] + job_bytes, usage[0] + job_bytes + _UNTOUCHED_BYTES]
    if ceiling != resource.RLIM_INFINITY:
        limits = [min(limit, ceiling) for limit in limits]
    resource.setrlimit(resource.RLIMIT_DATA, (limits[0], limits[1]))


def needs_too_much(job_bytes: int, needed_bytes: int | None = None) -> OutOfMemory:
    """The refusal of a clip, with what it needs, where that is known, and what a job has."""
    has = f"{job_bytes // MIB} MiB"
    if needed_bytes is not None and needed_bytes > job_bytes:
        need = f"The video needs about {-(-needed_bytes // MIB)} MiB of memory, and a job has {has}"
    else:
        need = f"The video needs more than the {has} of memory that a job has"
    return OutOfMemory(
        f"{need}. Do not send it again as it is; encode it as 8-bit 4:2:0 H.264 with fewer "
        "reference frames or fewer pixels."
    )


class MemoryBudget:
    """A job's memory, and the part of it that its decoder may take.

    With `job_bytes` None, or in a process that was not confined, nothing is held back.
    """

    def __init__(self, job_bytes: int | None) -> None:
        self.job_bytes = job_bytes
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        self._confined = job_bytes is not None and hard != resource.RLIM_INFINITY
        self._soft, self._hard = soft, hard
        self._beside_bytes = _BEFORE_RUNNING_BYTES
        self._at_start = _usage()

    def allow_untouched(self) -> None:
        """Raise the limit by what has been reserved since the start and is not in memory."""
        now = _usage()
        if not self._confined or now is None or self._at_start is None:
            return
        untouched = (now[0] - now[1]) - (self._at_start[0] - self._at_start[1])
        self._soft = min(self._hard, self._soft + max(0, untouched))
        resource.setrlimit(resource.RLIMIT_DATA, (self._soft, self._hard))

    def all_running(self) -> None:
        """The encoder and the detector have what they take: give the decoder nearly all."""
        self._beside_bytes = _WHILE_RUNNING_BYTES

    def check(self, needed_bytes: int) -> None:
        """Raise `OutOfMemory` where this is more than a job has."""
        if self.job_bytes is not None and needed_bytes > self.job_bytes:
            raise needs_too_much(self.job_bytes, needed_bytes)

    def leaves(self, wanted_bytes: int) -> bool:
        """Whether the decoder could still be given this much."""
        usage = _usage()
        if not self._confined or usage is None:
            return True
        return usage[0] + wanted_bytes <= self._soft - self._beside_bytes

    def __enter__(self) -> None:
        """Give the decoder's share alone, until the block ends."""
        if self._confined:
            lower = max(0, self._soft - self._beside_bytes)
            resource.setrlimit(resource.RLIMIT_DATA, (lower, self._hard))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._confined:
            resource.setrlimit(resource.RLIMIT_DATA, (self._soft, self._hard))


def _usage() -> tuple[int, int] | None:
    """Private writable memory of this process, and how much of it is in memory; in bytes."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return None
    found = {
        name: int(value.split()[0]) * 1024
        for name, _, value in (line.partition(":") for line in status.splitlines())
        if name in ("VmData", "RssAnon")
    }
    return (found["VmData"], found["RssAnon"]) if len(found) == 2 else None
