"""All tasks, by name, in the order of a report."""

from thinktalk.eval.task import Task
from thinktalk.eval.tasks.answering import answers_aloud
from thinktalk.eval.tasks.hearing import words_heard
from thinktalk.eval.tasks.people import people_heard
from thinktalk.eval.tasks.seeing import films, moments, pictures, sounds
from thinktalk.eval.tasks.speaking import words_spoken

TASKS: dict[str, Task] = {
    "hearing": words_heard,
    "people": people_heard,
    "answering": answers_aloud,
    "pictures": pictures,
    "films": films,
    "sounds": sounds,
    "moments": moments,
    "speaking": words_spoken,
}
