"""Inside the subject: which line of its own opened each descriptor, thread, task, child or file.

A line trace looks, after each line of the subject's own code, whether something new is there:
that sees what C code opens as well, which no hook on `open` would. Standard library, 3.9 syntax.
"""

import os
import sys
import tempfile
import threading
import weakref

__all__ = ["Origins"]

FRAMES = 40
MOST_FILES = 5000


class Origins:
    """Remembers, for each thing that is open, the stack that stood when it first was seen."""

    def __init__(self, names, is_own):
        self.watches = [_WATCHES[name]() for name in names]
        self.is_own = is_own
        self.stacks = {}
        self._looking = threading.Lock()

    def start(self):
        """Note what is there already, and begin to trace in this and every later thread."""
        for watch in self.watches:
            watch.mark = watch.glance()
            watch.known = dict.fromkeys(watch.keys())
        threading.settrace(self._enter)
        sys.settrace(self._enter)

    def stop(self):
        """End tracing; per metric what is open now, and the stack that opened it (if known)."""
        sys.settrace(None)
        threading.settrace(None)
        watches, self.watches = self.watches, []
        result = {}
        for watch in watches:
            now = watch.keys()
            result[watch.name] = [
                {"what": watch.what(key), "stack": watch.known.get(key)} for key in now
            ]
        return result

    def _enter(self, frame, _event, _arg):
        if not self.is_own(frame.f_code.co_filename):
            return None
        if not self.watches:
            return None
        # What is new at a call was opened before it, by the caller.
        self._look(frame.f_back, None)
        line = frame.f_lineno

        def trace(frame, event, _arg):
            nonlocal line
            if event != "exception":
                self._look(frame, line)
                line = frame.f_lineno
            return trace

        return trace

    def _look(self, frame, line):
        for watch in self.watches:
            mark = watch.glance()
            if mark != watch.mark and self._looking.acquire(False):
                try:
                    self._refresh(watch, frame, line)
                finally:
                    self._looking.release()

    def _refresh(self, watch, frame, line):
        now = watch.keys()
        new = [key for key in now if key not in watch.known]
        stack = self._stack(frame, line) if new else None
        watch.known = {key: watch.known.get(key) for key in now}
        for key in new:
            watch.known[key] = stack
        watch.mark = watch.glance()

    def _stack(self, frame, line):
        frames = []
        while frame is not None and len(frames) < FRAMES:
            code = frame.f_code
            frames.append([code.co_filename, line or frame.f_lineno, code.co_name])
            frame, line = frame.f_back, None
        # Equal stacks are kept once: the record of a leak must not become one.
        return self.stacks.setdefault(str(frames), frames)


class _Descriptors:
    """Open file descriptors; the lowest free number changes with every one opened or closed."""

    name = "fds"

    def __init__(self):
        self.spare = os.open(os.devnull, os.O_RDONLY)

    def glance(self):
        try:
            fd = os.dup(self.spare)
        except OSError:
            return -1
        os.close(fd)
        return fd

    def keys(self):
        found = []
        for name in os.listdir("/proc/self/fd"):
            try:
                found.append((int(name), os.readlink("/proc/self/fd/" + name)))
            except OSError:
                continue  # the listing's own descriptor
        return found

    def what(self, key):
        return key[1]


class _Threads:
    """Threads of the process, Python's and native ones."""

    name = "threads"

    def glance(self):
        return os.stat("/proc/self/task").st_nlink

    def keys(self):
        return [int(name) for name in os.listdir("/proc/self/task")]

    def what(self, key):
        for thread in threading.enumerate():
            if thread.native_id == key:
                return "Python thread " + thread.name
        try:
            with open("/proc/self/task/{}/comm".format(key)) as file:
                return "native thread " + file.read().strip()
        except OSError:
            return "ended thread"


class _Children:
    """Child processes."""

    name = "children"

    def glance(self):
        return self.keys()

    def keys(self):
        found = []
        for task in os.listdir("/proc/self/task"):
            try:
                with open("/proc/self/task/{}/children".format(task)) as file:
                    found.extend(int(pid) for pid in file.read().split())
            except OSError:
                continue
        return sorted(found)

    def what(self, key):
        try:
            with open("/proc/{}/cmdline".format(key)) as file:
                return file.read().replace("\0", " ").strip()[:200]
        except OSError:
            return "process {}".format(key)


class _Tasks:
    """asyncio tasks of every loop that the subject's own code ran in."""

    name = "tasks"

    def __init__(self):
        self.loops = weakref.WeakSet()

    def glance(self):
        return set(self.keys())

    def keys(self):
        asyncio = sys.modules.get("asyncio")
        if asyncio is None or not hasattr(asyncio, "all_tasks"):
            return []
        loop = asyncio._get_running_loop()
        if loop is not None:
            self.loops.add(loop)
        return [weakref.ref(task) for loop in self.loops for task in asyncio.all_tasks(loop)]

    def what(self, key):
        task = key()
        if task is None:
            return "ended task"
        coroutine = task.get_coro()
        name = getattr(coroutine, "__qualname__", type(coroutine).__name__)
        frame = getattr(coroutine, "cr_frame", None)
        if frame is None:
            return "{} ({})".format(task.get_name(), name)
        place = "{}:{}".format(frame.f_code.co_filename, frame.f_lineno)
        return "{} waiting at {}".format(name, place)


class _TempFiles:
    """Files below the folder for temporary files."""

    name = "temp_files"

    def __init__(self):
        self.folder = tempfile.gettempdir()

    def glance(self):
        return self.keys()

    def keys(self):
        found = []
        for folder, _folders, files in os.walk(self.folder):
            found.extend(os.path.join(folder, name) for name in files)
            if len(found) > MOST_FILES:
                break
        return found

    def what(self, key):
        return key


_WATCHES = {
    watch.name: watch for watch in (_Descriptors, _Threads, _Children, _Tasks, _TempFiles)
}
