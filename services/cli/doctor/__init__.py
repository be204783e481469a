"""`screenalytics doctor`: whether this machine can do what it is asked to."""
