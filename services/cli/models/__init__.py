"""The catalog of models at the command line: what is there, getting more, serving them by Triton."""
