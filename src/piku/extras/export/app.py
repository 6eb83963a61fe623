"""What an app is to another engine. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from piku.app import settings
from piku.app.procfile import Job, Procfile
from piku.deploy import process_plan
from piku.errors import PikuError
from piku.paths import AppName

PORT = 8000  # on which the image listens


@dataclass(frozen=True, kw_only=True)
class App:
    """The live release of an app; `data` is the folder that must outlive its containers, or
    empty."""

    name: str
    release: int
    image: str
    procfile: Procfile
    values: Mapping[str, str]
    counts: Mapping[str, int]
    data: str = ""

    @property
    def serving(self) -> str:
        return self.procfile.serving

    @property
    def processes(self) -> dict[str, int]:
        """How many there are of each process type that runs all the time."""
        plan = process_plan.plan(self.procfile, self.values, self.counts)
        serving = {self.serving: plan.instances} if self.serving else {}
        return serving | dict(plan.workers)

    @property
    def jobs(self) -> tuple[Job, ...]:
        return self.procfile.jobs

    @property
    def variables(self) -> dict[str, str]:
        """The settings as the containers get them: where they listen is the engine's to say."""
        return {k: v for k, v in self.values.items() if k not in ("PORT", "BIND_ADDRESS")}

    @property
    def health_path(self) -> str:
        return settings.HEALTHCHECK_PATH.read(self.values)

    @property
    def stop_timeout(self) -> int:
        return settings.STOP_TIMEOUT.read(self.values)

    def label(self, kind: str = "") -> str:
        """The name of a part, as DNS takes it."""
        return AppName(f"{self.name}-{kind}").label

    def check(self) -> None:
        """Raise PikuError when nothing of it could run elsewhere."""
        if not self.processes and not self.jobs:
            raise PikuError(
                f"{self.name} has no processes: nginx of this server serves its files",
                hint="copy them to any web server: no image is needed",
            )

    def warnings(self) -> list[str]:
        """What the files do not do, though the server does."""
        found = ["It has the app's settings, secrets among them: keep it like a password."]
        if "static" in self.procfile or settings.STATIC_PATHS.read(self.values):
            found.append("Static files are served by nginx here; there, the app has to.")
        if any("/" in name for name in settings.SERVER_NAME.read(self.values)):
            found.append("A path of NGINX_SERVER_NAME is not taken from the address there.")
        if self.data:
            found.append(f"{self.data} starts empty there, and each machine has its own: copy it.")
        return found
