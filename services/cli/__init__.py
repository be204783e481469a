"""The `screenalytics` command."""
