"""Jobs that subjects are made of in tests."""

from __future__ import annotations

JOBS = """
import asyncio, os, subprocess, tempfile, threading, time

kept = []

class Resource:
    def close(self): pass

def nothing(): pass
def heap(): kept.append(bytearray(2000))
def small(): kept.append(object())
def containers(): kept.append([])
def descriptor(): kept.append(os.open(os.devnull, os.O_RDONLY))
def thread():
    stop = threading.Event()
    kept.append(stop)
    threading.Thread(target=stop.wait, daemon=True).start()
def joined():
    worker = threading.Thread(target=nothing)
    worker.start()
    worker.join()
def child(): kept.append(subprocess.Popen(["sleep", "60"]))
def temp_file():
    fd, path = tempfile.mkstemp()
    os.write(fd, b"x" * 10)
    os.close(fd)
def resource(): kept.append(Resource())
def closed_resource():
    kept.append(Resource())
    kept[-1].close()
def cycle():
    ring = []
    ring.append(ring)
async def task(): kept.append(asyncio.ensure_future(asyncio.sleep(3600)))
async def finished_task(): asyncio.ensure_future(asyncio.sleep(0))
def count(): return len(kept)
def fails(): raise ValueError("as planned")
def fails_third():
    kept.append(1)
    if len(kept) == 3: raise ValueError("third time")
def hangs():
    print("in the workload", file=open(__file__ + ".mark", "w"), flush=True)
    time.sleep(3600)
def spawned():
    if not kept: kept.append(os.posix_spawn("/bin/sleep", ["sleep", "60"], {}))
def forked():
    if not kept: kept.append(os.fork() or time.sleep(60))
def dies(): os.kill(os.getpid(), 11)
def talks(): print("noise on the standard output")
"""
