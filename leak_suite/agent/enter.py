"""What a running process executes to take the agent in; the host appends the call of `enter`.

It runs in the middle of whatever the main thread does, in a namespace of its own.
"""


def enter(folder: str, address: str, token: str) -> None:
    """Load the agent from `folder`, and have it register; say so where another is here already."""
    import sys

    try:
        resident = sys.modules.get("_leak_agent.resident")
        known = None if resident is None else resident.in_this_process()
        gone = resident is not None and (known is None or not known.is_served)
        if "_leak_agent" in sys.modules and not gone:
            import _socket

            connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
            connection.settimeout(2.0)
            connection.connect(b"\0" + address.encode())
            hello = {"hello": token, "declined": "another gate measures it already"}
            connection.send((repr(hello) + "\n").encode())
            connection.close()
            return
        for name in list(sys.modules):
            if name == "_leak_agent" or name.startswith("_leak_agent."):
                del sys.modules[name]
        package = type(sys)("_leak_agent")
        package.__path__ = [folder]
        sys.modules["_leak_agent"] = package
        from _leak_agent.resident import enter  # type: ignore[import-not-found,unused-ignore]

        enter(address, token)
    except BaseException:  # noqa: S110 - of no concern to the subject
        pass
