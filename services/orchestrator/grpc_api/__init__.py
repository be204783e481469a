"""The gRPC API: thin methods over the orchestrator's own verbs."""
