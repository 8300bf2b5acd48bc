"""What the recipe has come to: each task by a process of its own, as many at a time as the machine has room for."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.progress import Progress

from thinktalk.contracts import UserError
from thinktalk.eval.task import Row
from thinktalk.eval.tasks import TASKS

ONE_THREAD = {"OMP_NUM_THREADS": "1"}


def measured(checkpoint: Path, at_a_time: int, tasks: Sequence[str] = tuple(TASKS)) -> list[Row]:
    """The rows of `thinktalk eval`, in the order of `tasks`. Raises UserError with what a task could not do."""

    def rows(task: str) -> list[Row]:
        command = [sys.executable, "-m", "thinktalk.cli", "eval", str(checkpoint), "--task", task, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | ONE_THREAD)
        if done.returncode:
            raise UserError(f"{task} was not measured: {done.stderr.strip()}")
        sys.stderr.write(done.stderr)
        return [Row(**row) for row in json.loads(done.stdout)["rows"]]

    with ThreadPoolExecutor(at_a_time) as pool, Progress() as progress:
        parts = {task: pool.submit(rows, task) for task in reversed(tasks)}  # speaking takes longest
        return [
            row for task in progress.track(tasks, description="measuring") for row in parts[task].result()
        ]
