"""What a release is to run, where it listens, and whether two may overlap."""

from __future__ import annotations

import pytest

from piku.app import procfile
from piku.deploy.process_plan import Plan, parse_scaling, plan, render_scaling, scaled
from piku.errors import PikuError

NAMED = {"NGINX_SERVER_NAME": "shop.example"}
FIXED = {"PORT": "5000"}
RECREATE = {"PIKU_DEPLOY_STRATEGY": "recreate"}
BOTH_NEED = "both releases need port 5000"
ONE_PORT = "the app has no server name, and both releases need its one port"


def planned(text: str, values: dict[str, str], *, short: bool = False, **counts: int) -> Plan:
    return plan(procfile.parse(text), values, counts, memory_short=short)


@pytest.mark.parametrize(
    ("text", "values", "short", "port", "alone"),
    [
        ("web: x", NAMED, False, "each", ""),
        ("web: x", NAMED | FIXED, False, "fixed", BOTH_NEED),
        ("web: x", {}, False, "kept", ONE_PORT),
        ("web: x", FIXED, False, "fixed", BOTH_NEED),
        ("wsgi: a:b", NAMED, False, "socket", ""),
        ("wsgi: a:b", NAMED | FIXED, False, "socket", ""),
        ("wsgi: a:b", {}, False, "kept", ONE_PORT),
        ("wsgi: a:b", FIXED, False, "fixed", BOTH_NEED),
        ("web: x", NAMED | RECREATE, False, "each", "PIKU_DEPLOY_STRATEGY=recreate"),
        ("wsgi: a:b", NAMED | RECREATE, True, "socket", "PIKU_DEPLOY_STRATEGY=recreate"),
        ("web: x", NAMED | FIXED | RECREATE, False, "fixed", "PIKU_DEPLOY_STRATEGY=recreate"),
        ("web: x", NAMED, True, "each", "not enough free memory for two releases at once"),
        ("wsgi: a:b", NAMED, True, "socket", "not enough free memory for two releases at once"),
        ("web: x", FIXED, True, "fixed", BOTH_NEED),
    ],
)
def test_where_it_listens_and_why_alone(
    text: str, values: dict[str, str], short: bool, port: str, alone: str
) -> None:
    found = planned(text, values, short=short)
    assert (found.port, found.no_overlap_reason, found.instances) == (port, alone, 1)


def test_what_runs_elsewhere_listens_at_a_port_of_its_own() -> None:
    found = plan(procfile.parse("wsgi: a:b"), NAMED, {}, elsewhere=True)
    assert (found.port, found.elsewhere, found.no_overlap_reason) == ("each", True, "")


@pytest.mark.parametrize("values", [{}, FIXED, NAMED | RECREATE])
def test_workers_alone_are_nobodys_obstacle(values: dict[str, str]) -> None:
    found = planned("worker: a\nbeat: b\n", values, short=True, worker=2)
    assert (found.serving, found.instances, found.no_overlap_reason) == ("", 0, "")
    assert found.workers == (("worker", 2), ("beat", 1))


def test_scheduled_jobs_have_no_count() -> None:
    found = planned("cron-a: @daily x\nworker: y\n", {}, **{"cron-a": 3})
    assert (found.jobs, found.workers) == (("cron-a",), (("worker", 1),))
    with pytest.raises(PikuError, match="'cron-a' is not a process type that can be scaled"):
        scaled(procfile.parse("cron-a: @daily x\n"), {}, {"cron-a": 1})


def test_counts_are_the_apps() -> None:
    found = planned("web: x\nworker: a\n", NAMED, web=3, worker=0, gone=4)
    assert (found.serving, found.instances, found.workers) == ("web", 3, (("worker", 0),))
    assert planned("web: x", {}, web=0).instances == 0


@pytest.mark.parametrize(
    ("text", "values", "hint"),
    [
        ("web: x", FIXED, "remove PORT"),
        ("web: x", NAMED | FIXED, "remove PORT"),
        ("web: x", {}, "NGINX_SERVER_NAME"),
        ("wsgi: a:b", {}, "NGINX_SERVER_NAME"),
    ],
)
def test_two_processes_cannot_have_one_port(text: str, values: dict[str, str], hint: str) -> None:
    kind = text.partition(":")[0]
    with pytest.raises(PikuError, match=f"{kind}=2 needs a port for each process") as error:
        plan(procfile.parse(text), values, {kind: 2})
    assert hint in error.value.hint


def test_two_wsgi_instances_have_a_socket_each() -> None:
    assert planned("wsgi: a:b", NAMED | FIXED, wsgi=2).instances == 2


def test_warnings() -> None:
    assert planned("web: x\nwsgi: a:b", NAMED).warnings == (
        "'web' is disabled: 'wsgi' answers the requests",
    )
    [warning] = planned("static: public", {}).warnings
    assert "piku config:set APP NGINX_SERVER_NAME=" in warning
    assert planned("static: public", NAMED).warnings == ()
    [warning] = planned("queue: x", NAMED).warnings
    assert warning == "The app has a host name, but no web, wsgi or static line to answer there"
    [warning] = planned("web: x", NAMED, web=0).warnings
    assert warning == "web is scaled to 0: start one with piku ps:scale APP web=1"


def test_bad_settings_are_found_while_planning() -> None:
    with pytest.raises(PikuError, match="PORT=80: not a whole number from 1024 to 65535"):
        planned("web: x", {"PORT": "80"})
    with pytest.raises(PikuError, match="PIKU_DEPLOY_STRATEGY=later: not one of overlap, recreate"):
        planned("web: x", {"PIKU_DEPLOY_STRATEGY": "later"})


# --- SCALING -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("", {}),
        ("web=2\nworker=0\n", {"web": 2, "worker": 0}),
        ("web:2\n worker : 3 \n", {"web": 2, "worker": 3}),
        ("web=x\n\nnonsense\nweb=\nworker=-1\nbeat=²\n", {}),
    ],
)
def test_counts_as_they_are_kept(text: str, counts: dict[str, int]) -> None:
    assert parse_scaling(text) == counts
    assert parse_scaling(render_scaling(counts)) == counts


def test_scaling_changes_what_is_named_and_keeps_the_rest() -> None:
    found = procfile.parse("web: a\nworker: b\nbeat: c\nrelease: d\n")
    assert scaled(found, {"worker": 2}, {"web": 3}) == {"web": 3, "worker": 2, "beat": 1}
    assert scaled(found, {}, {"beat": 0}) == {"web": 1, "worker": 1, "beat": 0}


def test_a_type_of_a_later_procfile_can_be_scaled_to_0() -> None:
    assert scaled(procfile.parse("web: a\n"), {}, {"late": 0}) == {"web": 1, "late": 0}
    with pytest.raises(PikuError, match="'release' is not a process type that can be scaled"):
        scaled(procfile.parse("web: a\nrelease: b\n"), {}, {"release": 0})


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("web: a\nrelease: b", "release", "'release' is not a process type that can be scaled"),
        ("web: a", "worker", "'worker' is not a process type"),
        ("web: a\nwsgi: b", "web", "'web' is not a process type"),
    ],
)
def test_what_cannot_be_scaled(text: str, kind: str, message: str) -> None:
    with pytest.raises(PikuError, match=message):
        scaled(procfile.parse(text), {}, {kind: 2})


def test_the_refusal_names_what_there_is() -> None:
    with pytest.raises(PikuError) as error:
        scaled(procfile.parse("web: a\nworker: b"), {}, {"wroker": 2})
    assert error.value.hint == "these can be scaled: web, worker"
