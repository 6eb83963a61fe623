"""Manifests of Kubernetes (1.27 or later, whose CronJobs know time zones). Pure."""

from typing import Any

from piku.app import settings
from piku.extras.export.app import PORT, App


def documents(app: App) -> list[dict[str, Any]]:
    found = [_document(app, "v1", "Secret", "settings", {"stringData": app.variables})]
    if app.data:
        claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        found.append(_document(app, "v1", "PersistentVolumeClaim", "data", {"spec": claim}))
    if "release" in app.procfile:
        once = {"backoffLimit": 0, "template": _pod(app, "release", restart="Never")}
        name = f"release-v{app.release}"  # a Job cannot be changed
        found.append(_document(app, "batch/v1", "Job", name, {"spec": once}))
    found += [_deployment(app, kind, count) for kind, count in app.processes.items()]
    found += [_cron(app, job.kind, job.schedule.text) for job in app.jobs]
    if app.serving:
        port = {"port": 80, "targetPort": PORT, "name": "http"}
        spec = {"selector": _labels(app, app.serving), "ports": [port]}
        found.append(_document(app, "v1", "Service", app.serving, {"spec": spec}))
        if names := settings.SERVER_NAME.read(app.values):
            found.append(_ingress(app, names))
    return found


def warnings(app: App) -> list[str]:
    found = []
    if app.serving and settings.SERVER_NAME.read(app.values):
        found.append(f"The Ingress wants a certificate in the Secret {app.label('tls')}.")
    if "release" in app.procfile:
        found.append("Apply the release Job, and wait for it, before the Deployments.")
    if app.data and max(app.processes.values(), default=0) > 1:
        found.append("Several processes on several nodes need a volume that is ReadWriteMany.")
    return found


def _document(app: App, version: str, kind: str, part: str, body: dict[str, Any]) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": app.label(), "app.kubernetes.io/managed-by": "piku"}
    metadata = {"name": app.label(part), "labels": labels}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **body}


def _labels(app: App, kind: str) -> dict[str, str]:
    return {"app": app.label(), "process": kind}


def _pod(app: App, kind: str, *, restart: str = "Always", serves: bool = False) -> dict[str, Any]:
    """A pod of one process. The image's user is a number, and not root."""
    ask = {"httpGet": {"path": app.health_path, "port": PORT}}
    container = {
        "name": app.label(kind),
        "image": app.image,
        "args": [kind],
        "envFrom": [{"secretRef": {"name": app.label("settings")}}],
        "env": [{"name": "PORT", "value": str(PORT)}],
        "ports": [{"containerPort": PORT, "name": "http"}] if serves else None,
        "readinessProbe": (ask if app.health_path else {"tcpSocket": {"port": PORT}})
        if serves
        else None,
        "volumeMounts": [{"name": "data", "mountPath": app.data}] if app.data else None,
        "securityContext": {"runAsNonRoot": True, "allowPrivilegeEscalation": False},
    }
    claim = {"name": "data", "persistentVolumeClaim": {"claimName": app.label("data")}}
    spec = {
        "restartPolicy": restart,
        "terminationGracePeriodSeconds": app.stop_timeout,
        "enableServiceLinks": False,  # variables that the app does not have here
        "containers": [container],
        "volumes": [claim] if app.data else None,
    }
    return {"metadata": {"labels": _labels(app, kind)}, "spec": spec}


def _deployment(app: App, kind: str, count: int) -> dict[str, Any]:
    serves = kind == app.serving
    # What serves overlaps with what is there before it; workers do not.
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    spec = {
        "replicas": count,
        "strategy": rolling if serves else {"type": "Recreate"},
        "selector": {"matchLabels": _labels(app, kind)},
        "template": _pod(app, kind, serves=serves),
    }
    return _document(app, "apps/v1", "Deployment", kind, {"spec": spec})


def _cron(app: App, kind: str, schedule: str) -> dict[str, Any]:
    spec = {
        "schedule": schedule,
        "timeZone": app.values.get("TZ", "").strip() or None,
        "concurrencyPolicy": "Forbid",
        "jobTemplate": {"spec": {"backoffLimit": 0, "template": _pod(app, kind, restart="Never")}},
    }
    return _document(app, "batch/v1", "CronJob", kind, {"spec": spec})


def _ingress(app: App, names: tuple[str, ...]) -> dict[str, Any]:
    service = {"name": app.label(app.serving), "port": {"number": 80}}
    rules = []
    for name in names:
        host, _, path = name.partition("/")
        to = {"path": f"/{path}", "pathType": "Prefix", "backend": {"service": service}}
        rules.append({"host": host, "http": {"paths": [to]}})
    hosts = sorted({name.partition("/")[0] for name in names})
    tls = [{"hosts": hosts, "secretName": app.label("tls")}]
    return _document(app, "networking.k8s.io/v1", "Ingress", app.serving,
        {"spec": {"tls": tls, "rules": rules}})  # fmt: skip
