"""A real Kubernetes control plane for tests: API server, etcd, controllers, scheduler, and kwok for nodes and pods.

Built once from the Go module proxy (`make kubernetes-bed`), started in seconds, gone with the process that started it.
There is no kubelet, no container, no operator and no webhook: what those do is simulated by kwok's Stages, or absent.
`build` needs the standard library alone; the rest needs the environment for development.
"""
