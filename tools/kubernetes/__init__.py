"""A real Kubernetes control plane for tests: API server, etcd, controllers, scheduler, and kwok for nodes and pods.

Built once from the Go module proxy (`make kubernetes-bed`), started in seconds, gone with the process that started it.
There is no kubelet, no container, no operator and no webhook: what those do is simulated by kwok's Stages, or absent.
Ports of pods are forwarded, to servers of this machine that stand for them (`Bed.forward`).
`build` needs the standard library alone; the rest needs the environment for development.
"""
