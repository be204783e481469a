"""The REST API: thin routes over the orchestrator's own verbs."""
