"""What measures from inside the subject: standard library only, Python 3.9, launched by path.

Nothing imports this package under its own name. The launcher runs `__main__.py` by path, which
loads these files as `_leak_agent`, so that `leak_suite` and what it needs stay out of the subject.
"""
