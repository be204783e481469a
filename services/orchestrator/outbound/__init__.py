"""Calls to addresses that users have named: sources of videos, and receivers of webhooks."""

from services.orchestrator.outbound.outbound import Fetched, Outbound, Reply

__all__ = ["Fetched", "Outbound", "Reply"]
