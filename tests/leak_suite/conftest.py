"""The plugin is tested on pytest runs of its own."""

pytest_plugins = ["pytester"]
