"""Serves the provider: `python -m tools.standins.cluster`."""

from tools.standins.cluster.provider import ClusterProvider
from tools.standins.plugin import serve

if __name__ == "__main__":
    serve(ClusterProvider())
