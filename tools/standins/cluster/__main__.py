"""Serves the provider: `python -m tools.standins.cluster ENGINE`, with the address of the engine that starts it."""

import sys

from tools.standins.cluster.provider import ClusterProvider
from tools.standins.plugin import serve

if __name__ == "__main__":
    serve(ClusterProvider(sys.argv[1]))
