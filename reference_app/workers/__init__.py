"""Workers: the process or thread that does one job. Nothing here imports FastAPI."""
