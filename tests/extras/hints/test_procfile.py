"""Workers that are hardly meant as such."""

from __future__ import annotations

import pytest

from piku.app.procfile import parse
from piku.errors import PikuError
from piku.extras.hints import procfile


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("worker: a\nWeb: b\n", "Procfile: 'Web' would run as a worker; did you mean 'web'?"),
        ("wsgy: app:app\n", "Procfile: 'wsgy' would run as a worker; did you mean 'wsgi'?"),
        ("wbe: ./serve\n", "Procfile: 'wbe' would run as a worker; did you mean 'web'?"),
        (
            "tidy: 0 3 1 jan MON-FRI ./tidy\n",
            "Procfile: the command of 'tidy' begins with a schedule",
        ),
        ("tidy: 0 3 * * * ./tidy\n", "Procfile: the command of 'tidy' begins with a schedule"),
        ('tidy: "0 3 * * *" ./tidy\n', "Procfile: the command of 'tidy' begins with a schedule"),
        ("corn-x: @daily ./tidy\n", "Procfile: the command of 'corn-x' begins with a schedule"),
    ],
)
def test_a_worker_that_is_hardly_meant_as_one(text: str, message: str) -> None:
    with pytest.raises(PikuError) as error:
        procfile.refuse_mistakes(parse(text))
    assert error.value.message == message


def test_names_of_workers_near_a_type_that_is_there() -> None:
    text = "web: a\nweb2: b\nworker: c\nqueue: 5 10 20\n"
    procfile.refuse_mistakes(parse(text))
