"""What the doctor says of a run of the store, asked anew."""

from famulus import tasks
from famulus.diagnosis.history import from_events
from famulus.diagnosis.verdict import Verdict, judge
from famulus.store.run import Run


def verdict_of(run: Run) -> Verdict:
    """Findings from all that the run recorded, root causes first."""
    config = run.config()
    # one's own task, or a loop's, is not at hand
    schema = tasks.load(config["task"]) if config.get("task") in tasks.names() else None
    return judge(from_events(config, run.curve(), schema))
