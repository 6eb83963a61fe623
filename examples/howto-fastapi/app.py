"""An API with one resource and a health check."""

import os

from fastapi import FastAPI, Request

app = FastAPI(title="Hello")


@app.get("/hello/{name}")
async def hello(name: str, request: Request) -> dict[str, str]:
    return {
        "hello": name,
        "release": os.environ.get("PIKU_RELEASE", ""),
        "scheme": request.url.scheme,
    }


@app.get("/health")
async def health() -> dict[str, bool]:
    return {"well": True}
