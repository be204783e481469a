"""A whole system made to be broken: real servers and services, killed, stopped and starved.

The services are the product's own, unchanged; what is put on top of them, mutants and a stage handler that
is quick and writes small real artifacts, is put on from outside, in the child process.
"""
