"""The machines of a cluster: `piku cluster:init`, `cluster:join`, `cluster:nodes`, `cluster:leave`.

Each is one question to the Docker engine: Swarm keeps the members, elects and watches.
"""

import sys

import click

from piku.cli.common import pass_paths
from piku.errors import PikuError
from piku.extras.swarm.api import Engine, Refused, address_of
from piku.output import table
from piku.paths import Paths

_PORT = 2377


@click.command(name="cluster:init")
@click.argument("address")
@pass_paths
def init(paths: Paths, address: str) -> None:
    """Make this server the manager of a cluster, reached at ADDRESS.

    Prints what to run on the other machines, also when the cluster exists already.
    """
    engine = Engine.of(paths)
    body = {"ListenAddr": f"0.0.0.0:{_PORT}", "AdvertiseAddr": address, "DataPathAddr": address}
    try:
        engine.call("POST", "/swarm/init", body)
        click.echo(f"This server is the manager of a cluster now, at {address}:{_PORT}.")
    except Refused as error:
        if error.status != 503 or "already part" not in error.message:
            raise
    token = engine.call("GET", "/swarm")["JoinTokens"]["Worker"]
    click.echo("On each other machine, once docker.io is installed there:")
    click.echo(f"  docker swarm join --token {token} {address}:{_PORT}")
    click.echo("or, where piku is installed, `piku cluster:join` with the token as its input.")


@click.command(name="cluster:join")
@click.argument("manager")
@click.option("--address", help="The address at which the others reach this machine.")
@pass_paths
def join(paths: Paths, manager: str, address: str | None) -> None:
    """Join the cluster of MANAGER as a node; reads the token from standard input."""
    host, _, given = manager.partition(":")
    port = int(given) if given.isdecimal() else _PORT
    token = sys.stdin.readline().strip()
    if not token.startswith("SWMTKN-"):
        hint = "`piku cluster:init` shows it on the manager"
        raise PikuError("no token of a cluster came on standard input", hint=hint)
    body = {
        "ListenAddr": f"0.0.0.0:{_PORT}", "AdvertiseAddr": address or "", "JoinToken": token,
        "RemoteAddrs": [f"{host}:{port}"],
    }  # fmt: skip
    Engine.of(paths).call("POST", "/swarm/join", body)
    click.echo("This machine is a node of the cluster now.")


@click.command(name="cluster:nodes")
@pass_paths
def nodes(paths: Paths) -> None:
    """Show the machines of the cluster."""
    rows = [("NODE", "ADDRESS", "ROLE", "STATE", "AVAILABILITY")]
    for node in Engine.of(paths).call("GET", "/nodes"):
        rows.append((
            node["Description"]["Hostname"],
            address_of(node),
            node["Spec"]["Role"],
            node["Status"]["State"],
            node["Spec"]["Availability"],
        ))  # fmt: skip
    for line in table(rows):
        click.echo(line)


@click.command(name="cluster:leave")
@click.option("--force", is_flag=True, help="Even if this is the manager: that ends the cluster.")
@pass_paths
def leave(paths: Paths, force: bool) -> None:
    """Take this machine out of its cluster."""
    Engine.of(paths).call("POST", f"/swarm/leave?force={int(force)}")
    click.echo("This machine is in no cluster now.")
