"""The files of jobs."""
