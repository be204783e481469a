"""What each role may publish and hear on NATS, as narrow as the work allows. Pure.

A role is the orchestrator or the workers of one stage, and has an inbox of its own, so that no role hears the
answers, tasks included, that another has asked for. What the broker cannot know, the orchestrator's guards
decide: whether a claim or a result counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.kit import bus
from services.kit.inference.placement import Provider
from services.kit.stages import Stage

ORCHESTRATOR = "orchestrator"
ROLES = (ORCHESTRATOR, *Stage)

_API = "$JS.API"
_STREAMS = (bus.TASKS_STREAM, bus.RESULTS_STREAM, bus.LOGS_STREAM)
_OWN_CONSUMERS = ((bus.RESULTS_STREAM, bus.RESULTS_CONSUMER), (bus.LOGS_STREAM, bus.LOGS_CONSUMER))
_STREAM_CALLS = ("CREATE", "UPDATE", "INFO", "PURGE", "MSG.GET", "MSG.DELETE")
_CONSUMER_CALLS = ("CREATE", "DURABLE.CREATE", "INFO")


@dataclass(frozen=True, slots=True)
class Permissions:
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]

    def as_config(self) -> dict[str, dict[str, list[str]]]:
        """In the words of nats-server's configuration; what is not allowed is denied."""
        return {"publish": {"allow": [*self.publish]}, "subscribe": {"allow": [*self.subscribe]}}


def permissions(role: str) -> Permissions:
    """Raises `ValueError` for what is no role."""
    return _orchestrator() if role == ORCHESTRATOR else _worker(Stage(role))


def _inbox(role: str) -> str:
    return f"_INBOX.{role}.>"


def _worker(stage: Stage) -> Permissions:
    consumers = [(bus.TASKS_STREAM, bus.route_consumer(stage, provider)) for provider in Provider]
    return Permissions(
        publish=(
            bus.CLAIM,
            bus.ALL_RESULTS,
            bus.ALL_LOGS,
            bus.ALL_PROGRESS,
            bus.ALL_HEARTBEATS,
            *_fetching(consumers),
        ),
        subscribe=(bus.ALL_CONTROL, _inbox(stage)),
    )


def _orchestrator() -> Permissions:
    return Permissions(
        publish=(
            f"{bus.PREFIX}.task.>",
            bus.ALL_CONTROL,
            *(_inbox(stage) for stage in Stage),  # answers to claims
            *(f"{_API}.STREAM.{call}.{stream}" for stream in _STREAMS for call in _STREAM_CALLS),
            *(f"{_API}.CONSUMER.{call}.{stream}.>" for stream in _STREAMS for call in _CONSUMER_CALLS),
            *_fetching(_OWN_CONSUMERS),
        ),
        subscribe=(bus.CLAIM, bus.ALL_PROGRESS, bus.ALL_HEARTBEATS, _inbox(ORCHESTRATOR)),
    )


def _fetching(consumers: list[tuple[str, str]] | tuple[tuple[str, str], ...]) -> list[str]:
    """Asking for messages of these consumers, and settling them."""
    return [
        subject
        for stream, consumer in consumers
        for subject in (f"{_API}.CONSUMER.MSG.NEXT.{stream}.{consumer}", f"$JS.ACK.{stream}.{consumer}.>")
    ]
