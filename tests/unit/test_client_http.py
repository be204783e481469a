"""The client against a real HTTP server that answers as each test scripts it."""

from __future__ import annotations

import io
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import trustme
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from services.client import (
    ApiError,
    ApiUnavailable,
    Client,
    ClientSettings,
    InvalidAddress,
    InvalidCredentials,
    LogLine,
    Overrides,
    StateChange,
    UnexpectedAnswer,
    Why,
)

JOB = {"job_id": "j1", "ep_id": "e1", "episode_uid": "u1", "kind": "pipeline", "state": "running"}
EPISODE = {
    "ep_id": "e1",
    "episode_uid": "u1",
    "filename": "a.mp4",
    "sha256": "00",
    "size_bytes": 3,
    "container": "mp4",
    "created_at": "2026-01-01T00:00:00Z",
}

Handler = Callable[[Request], Any]


class ScriptedApi:
    """Answers each (method, path) with its scripted answers in turn; the last one repeats."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str], list[Any]] = {}
        self.requests: list[tuple[Request, bytes]] = []
        self.app = FastAPI()
        self.app.add_route("/{path:path}", self._serve, methods=["GET", "POST", "PATCH"])

    def on(self, method: str, path: str, *answers: Any) -> None:
        self._answers[method, path] = list(answers)

    def sent(self, method: str, path: str) -> list[tuple[Request, bytes]]:
        return [r for r in self.requests if (r[0].method, r[0].url.path) == (method, path)]

    async def _serve(self, request: Request) -> Response:
        self.requests.append((request, await request.body()))
        answers = self._answers.get((request.method, request.url.path))
        if not answers:
            return problem(404, "not-found", "no such thing")
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return answer() if callable(answer) else JSONResponse(answer)


def problem(status: int, code: str, detail: str, **extras: Any) -> JSONResponse:
    body = {"type": f"urn:screenalytics:problem:{code}", "title": code, "status": status, "detail": detail}
    return JSONResponse(body | {"code": code} | extras, status, media_type="application/problem+json")


def sse(*events: tuple[str, dict[str, Any]], is_cut: bool = False) -> Callable[[], StreamingResponse]:
    """An event stream; one that is cut loses its connection amid an event."""

    async def stream() -> AsyncIterator[str]:
        yield ": keep-alive\n\n"
        for name, data in events:
            id_line = f"id: {data['seq']}\n" if "seq" in data else ""
            yield f"{id_line}event: {name}\ndata: {json.dumps(data)}\n\n"
        if is_cut:
            yield 'event: log\nid: 99\ndata: {"seq"'
            raise ConnectionError("the server goes away")

    return lambda: StreamingResponse(stream(), media_type="text/event-stream")


def lost_answer() -> StreamingResponse:
    async def stream() -> AsyncIterator[str]:
        yield "{"
        raise ConnectionError("the server goes away")

    return StreamingResponse(stream(), 202, media_type="application/json")


def state(seq: int, name: str) -> tuple[str, dict[str, Any]]:
    return "state", {"seq": seq, "stage": None, "state": name, "reason": None, "at": "2026-01-01T00:00:00Z"}


def log(seq: int, message: str) -> tuple[str, dict[str, Any]]:
    return "log", {"seq": seq, "stage": "cluster", "level": "info", "message": message, "is_noisy": False}


@contextmanager
def serving(app: FastAPI, listener: socket.socket, **tls: Any) -> Iterator[None]:
    config = uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1, **tls)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Bound and not yet listening: until a server takes it over, connections are refused."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", port))
        yield bound


@pytest.fixture
def url(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def api() -> ScriptedApi:
    return ScriptedApi()


@pytest.fixture
def client(api: ScriptedApi, listener: socket.socket, url: str) -> Iterator[Client]:
    with serving(api.app, listener), Client(url, retry_for_s=10.0) as client:
        yield client


def test_a_call_waits_for_a_server_that_is_still_starting(
    api: ScriptedApi, listener: socket.socket, url: str
) -> None:
    api.on("GET", "/v1/jobs/j1", JOB)
    answers: list[str] = []
    with Client(url, retry_for_s=30.0) as client:
        caller = threading.Thread(target=lambda: answers.append(client.job("j1").state))
        caller.start()
        with serving(api.app, listener):
            caller.join()
    assert answers == ["running"]


def test_a_refused_connection_becomes_unavailable_when_the_retry_time_is_up(url: str) -> None:
    with Client(url, retry_for_s=0.2) as client, pytest.raises(ApiUnavailable, match=url):
        client.workers()


def test_a_503_is_tried_again(api: ScriptedApi, client: Client) -> None:
    api.on("GET", "/v1/jobs/j1", lambda: problem(503, "system-unavailable", "no database"), JOB)
    assert client.job("j1").job_id == "j1"
    assert len(api.requests) == 2


def test_a_lasting_503_becomes_unavailable_with_the_servers_reason(api: ScriptedApi, client: Client) -> None:
    api.on("GET", "/v1/workers", lambda: problem(503, "system-unavailable", "no database"))
    with Client(client.base_url, retry_for_s=0.0) as hasty, pytest.raises(ApiUnavailable, match="no database"):
        hasty.workers()


def too_many_calls(retry_after_s: int) -> JSONResponse:
    refused = problem(429, "rate-limited", "too many calls")
    refused.headers["Retry-After"] = str(retry_after_s)
    return refused


def test_a_429_is_tried_again_once_the_server_wants_that(api: ScriptedApi, client: Client) -> None:
    api.on("GET", "/v1/jobs/j1", lambda: too_many_calls(1), JOB)
    begun_s = monotonic()
    assert client.job("j1").job_id == "j1"
    assert monotonic() - begun_s >= 1.0
    assert len(api.requests) == 2


def test_a_429_for_longer_than_the_retry_time_is_an_error_at_once(api: ScriptedApi, client: Client) -> None:
    api.on("GET", "/v1/jobs/j1", lambda: too_many_calls(86_400))
    with pytest.raises(ApiError) as caught:
        client.job("j1")
    assert (caught.value.code, caught.value.status) == ("rate-limited", 429)
    assert len(api.requests) == 1


def test_a_watch_goes_on_after_a_429(api: ScriptedApi, client: Client) -> None:
    api.on("GET", "/v1/jobs/j1/events", lambda: too_many_calls(0), sse(state(1, "succeeded"), ("end", {})))
    api.on("GET", "/v1/jobs/j1", JOB)
    assert [event.seq for event in client.watch("j1") if isinstance(event, StateChange)] == [1]


def test_a_problem_keeps_its_code_hint_and_extra_members(api: ScriptedApi, client: Client) -> None:
    conflict = problem(409, "conflict", "a job is running", hint="wait for it", job_id="j7")
    api.on("POST", "/v1/jobs", lambda: conflict)
    with pytest.raises(ApiError) as caught:
        client.submit("e1")
    assert (caught.value.code, caught.value.status, caught.value.hint) == ("conflict", 409, "wait for it")
    assert caught.value.extras == {"job_id": "j7"}
    assert len(api.requests) == 1


def test_a_page_of_another_server_is_an_unexpected_answer(api: ScriptedApi, client: Client) -> None:
    api.on("GET", "/v1/workers", lambda: Response("<html>", 200))
    api.on("GET", "/v1/profiles", lambda: Response("<html>", 404))
    with pytest.raises(UnexpectedAnswer, match="JSON"):
        client.workers()
    with pytest.raises(UnexpectedAnswer, match="404"):
        client.profiles()


@pytest.mark.parametrize("address", ["localhost:8080", "ftp://host", "http://", "http://[::1"])
def test_a_text_that_is_no_http_address_is_refused_at_once(address: str) -> None:
    with pytest.raises(InvalidAddress, match="no HTTP address"):
        Client(address)


def test_a_submit_whose_answer_was_lost_is_said_again_with_the_same_key(
    api: ScriptedApi, client: Client
) -> None:
    api.on("POST", "/v1/jobs", lost_answer, JOB)
    assert client.submit("e1", overrides=Overrides(stride=2, save_frames=True)).job_id == "j1"
    (first, body), (second, same_body) = api.sent("POST", "/v1/jobs")
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"] != ""
    assert body == same_body
    assert json.loads(body)["overrides"] == {"stride": 2, "save_frames": True}


def test_two_submits_have_keys_of_their_own_and_a_given_key_is_sent(api: ScriptedApi, client: Client) -> None:
    api.on("POST", "/v1/jobs", JOB)
    client.submit("e1")
    client.submit("e1")
    client.submit("e1", idempotency_key="mine")
    one, another, given = (request.headers["idempotency-key"] for request, _ in api.sent("POST", "/v1/jobs"))
    assert one != another
    assert given == "mine"


@pytest.mark.parametrize("verb", ["retry", "resume"])
def test_a_job_is_asked_for_again_by_its_verb(api: ScriptedApi, client: Client, verb: str) -> None:
    api.on("POST", f"/v1/jobs/j0:{verb}", lost_answer, JOB | {f"{verb}_of": "j0"})
    job = getattr(client, verb)("j0")
    assert (job.job_id, getattr(job, f"{verb}_of")) == ("j1", "j0")
    first, second = (r.headers["idempotency-key"] for r, _ in api.sent("POST", f"/v1/jobs/j0:{verb}"))
    assert first == second


def test_an_upload_is_sent_again_in_full_after_a_503(api: ScriptedApi, client: Client, tmp_path: Path) -> None:
    video = tmp_path / "Ünïcode film.mp4"
    video.write_bytes(bytes(range(256)) * 10_000)
    reports: list[tuple[int, int]] = []
    api.on("POST", "/v1/episodes", lambda: problem(503, "system-unavailable", "starting"), EPISODE)
    assert client.upload(video, ep_id="e1", on_sent=lambda *sent: reports.append(sent)).ep_id == "e1"
    uploads = api.sent("POST", "/v1/episodes")
    assert [body == video.read_bytes() for _, body in uploads] == [True, True]
    assert uploads[0][0].query_params["filename"] == "Ünïcode film.mp4"
    assert uploads[0][0].headers["content-length"] == "2560000"
    assert reports[-1] == (2_560_000, 2_560_000)


def test_members_of_a_newer_server_are_ignored(api: ScriptedApi, client: Client) -> None:
    stage = {"run_id": "r1", "stage": "cluster", "state": "dreaming", "mood": "fine"}
    api.on("GET", "/v1/jobs/j1", JOB | {"colour": "blue", "stages": [stage]})
    assert client.job("j1").stages[0].state == "dreaming"


def test_an_answer_without_a_required_member_is_unexpected(api: ScriptedApi, client: Client) -> None:
    api.on("GET", "/v1/jobs/j1", {"job_id": "j1"})
    with pytest.raises(UnexpectedAnswer, match="ep_id"):
        client.job("j1")


def test_pages_of_episodes_are_followed_to_the_last(api: ScriptedApi, client: Client) -> None:
    first = {"episodes": [EPISODE], "next_page_token": "t"}
    api.on("GET", "/v1/episodes", first, {"episodes": [EPISODE | {"ep_id": "e2"}], "next_page_token": ""})
    assert [episode.ep_id for episode in client.episodes()] == ["e1", "e2"]
    assert api.requests[1][0].query_params["page_token"] == "t"


def test_a_download_that_was_cut_off_starts_anew(api: ScriptedApi, client: Client) -> None:
    api.on("GET", "/v1/episodes/e1/exports/runs/cluster.json", lost_answer, {"phase": "cluster"})
    target = io.BytesIO()
    client.download_export("e1", "runs/cluster.json", target)
    assert json.loads(target.getvalue()) == {"phase": "cluster"}


def test_pages_of_a_log_are_followed_to_the_last(api: ScriptedApi, client: Client) -> None:
    one, two = (line for _, line in (log(3, "one"), log(7, "two")))
    pages = [
        {"lines": [one], "next_after": 3},
        {"lines": [two], "next_after": 7},
        {"lines": [], "next_after": 7},
    ]
    api.on("GET", "/v1/jobs/j1/logs", *pages)
    lines = list(client.logs("j1", after_seq=1, quiet=False))
    assert [(line.seq, line.message) for line in lines] == [(3, "one"), (7, "two")]
    asked = [dict(request.query_params) for request, _ in api.requests]
    assert asked == [{"quiet": "false", "after": after} for after in ("1", "3", "7")]


def test_why_is_a_sentence_and_a_next_step(api: ScriptedApi, client: Client) -> None:
    answer = {"job_id": "j1", "case": "no-worker", "sentence": "It waits.", "next_step": "Start one."}
    api.on("GET", "/v1/jobs/j1/why", answer)
    assert client.why("j1") == Why("j1", "no-worker", "It waits.", "Start one.")


def test_a_watch_resumes_after_the_last_event_it_saw_and_doubles_none(api: ScriptedApi, client: Client) -> None:
    api.on("GET", "/v1/jobs/j1", JOB)
    first = sse(state(1, "queued"), log(2, "one"), is_cut=True)
    overlapping = sse(
        log(2, "one"), state(3, "running"), ("later-kind", {"seq": 4}), log(5, "two"), ("end", {})
    )
    api.on("GET", "/v1/jobs/j1/events", first, overlapping)
    events = list(client.watch("j1"))
    assert [e.seq for e in events if isinstance(e, StateChange | LogLine)] == [1, 2, 3, 5]
    (opening, _), (resumption, _) = api.sent("GET", "/v1/jobs/j1/events")
    assert "last-event-id" not in opening.headers
    assert resumption.headers["last-event-id"] == "2"


def test_a_watch_ends_with_a_job_whose_server_sends_no_end(api: ScriptedApi, client: Client) -> None:
    api.on("GET", "/v1/jobs/j1", JOB, JOB | {"state": "succeeded"})
    api.on("GET", "/v1/jobs/j1/events", lambda: problem(503, "system-unavailable", "no streams"))
    assert list(client.watch("j1")) == []


def test_a_watch_of_an_unknown_job_says_so(api: ScriptedApi, client: Client) -> None:
    with pytest.raises(ApiError) as caught:
        list(client.watch("j9"))
    assert caught.value.code == "not-found"


def test_a_watch_reports_a_server_that_stays_away(api: ScriptedApi, client: Client, url: str) -> None:
    api.on("GET", "/v1/jobs/j1/events", sse(state(1, "queued"), is_cut=True))
    api.on("GET", "/v1/jobs/j1", lambda: problem(502, "bad-gateway", "gone"))
    with Client(url, retry_for_s=0.2) as hasty, pytest.raises(ApiUnavailable, match="gone"):
        list(hasty.watch("j1"))


def test_a_list_is_read_page_by_page_and_no_further_than_it_is_wanted(api: ScriptedApi, client: Client) -> None:
    first = {"jobs": [JOB, JOB | {"job_id": "j2"}], "next_page_token": "t1"}
    api.on("GET", "/v1/jobs", first, {"jobs": [JOB | {"job_id": "j3"}], "next_page_token": ""})
    jobs = client.jobs(ep_id="e1")
    assert next(jobs).job_id == "j1"
    assert len(api.requests) == 1
    assert [job.job_id for job in jobs] == ["j2", "j3"]
    queries = [dict(request.query_params) for request, _ in api.requests]
    assert queries == [{"ep_id": "e1"}, {"ep_id": "e1", "page_token": "t1"}]


def test_a_wait_goes_on_until_the_job_has_ended(api: ScriptedApi, client: Client) -> None:
    api.on(
        "POST",
        "/v1/jobs/j1:wait",
        JOB,
        lambda: problem(503, "system-unavailable", "restarting"),
        JOB | {"state": "failed"},
    )
    assert client.wait("j1").state == "failed"
    assert len(api.requests) == 3


def test_a_wait_ends_at_its_timeout(api: ScriptedApi, client: Client) -> None:
    api.on("POST", "/v1/jobs/j1:wait", JOB)
    assert client.wait("j1", timeout_s=0).state == "running"
    (request, _) = api.requests[0]
    assert request.query_params["timeout_s"] == "0.0"


def test_an_edit_names_what_it_changes_and_what_it_has_seen(api: ScriptedApi, client: Client) -> None:
    api.on("PATCH", "/v1/episodes/e1", EPISODE | {"title": "Pilot", "labels": {}, "etag": "u1.2"})
    edited = client.update_episode("e1", title="Pilot", if_match="u1.1")
    assert (edited.title, edited.etag) == ("Pilot", "u1.2")
    ((request, body),) = api.requests
    assert (json.loads(body), request.headers["if-match"]) == ({"title": "Pilot"}, '"u1.1"')


def test_a_token_is_sent_as_a_bearers(api: ScriptedApi, client: Client) -> None:
    api.on("GET", "/v1/workers", {"workers": []})
    client.workers()
    with Client(client.base_url, token="sa_secret") as trusted:
        trusted.workers()
    assert [r.headers.get("authorization") for r, _ in api.requests] == [None, "Bearer sa_secret"]


def test_credentials_that_cannot_be_used_are_refused_without_telling_them(tmp_path: Path) -> None:
    with pytest.raises(InvalidCredentials) as caught:
        Client("http://127.0.0.1:1", token="a\nb")
    assert "a\nb" not in str(caught.value)
    (tmp_path / "ca.pem").write_text("no certificate")
    for path in (tmp_path / "ca.pem", tmp_path / "nobody.pem"):
        with pytest.raises(InvalidCredentials, match="PEM"):
            Client("https://127.0.0.1:1", ca_file=path)


def test_the_authorities_of_a_file_are_trusted_and_no_others(api: ScriptedApi, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    api.on("GET", "/v1/workers", {"workers": []})
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        with serving(api.app, listener, ssl_certfile=str(tmp_path / "server.pem")):
            with Client(url, ca_file=tmp_path / "ca.pem") as client:
                assert client.workers() == []
            with Client(url, retry_for_s=0) as stranger, pytest.raises(ApiUnavailable, match="certificate"):
                stranger.workers()


def test_the_environment_of_a_program_brings_token_and_authorities(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCREENALYTICS_CLIENT__TOKEN", "sa_secret")
    monkeypatch.setenv("SCREENALYTICS_CLIENT__CA_FILE", "/etc/ca.pem")
    known = ClientSettings().client
    assert known.token is not None
    assert (known.token.get_secret_value(), known.ca_file) == ("sa_secret", Path("/etc/ca.pem"))
    assert "sa_secret" not in repr(known)
