"""Lists the scripts that `make bench` runs as they stand: those that need no arguments."""

for name in ("sample_cast", "linkage", "inference", "orchestrator", "cancel"):
    print(f"bench/{name}.py")
