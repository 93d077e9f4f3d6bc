"""The exceptions of all problem types; the service explains each one on a page below `/problems/`."""

from ._generated.problems import *  # noqa: F403
