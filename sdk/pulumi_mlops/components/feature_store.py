"""Features served online and joined point-in-time."""

# Without `from __future__ import annotations`: the SDK evaluates a resource's annotations anew for each instance, and
# text would be compiled each time.

import pulumi

from pulumi_mlops.components.dataset import Dataset
from pulumi_mlops.components.facts import stated
from pulumi_mlops.platforms.base import Platform
from pulumi_mlops.spec.features import Features


class FeatureStore(pulumi.ComponentResource):
    """Features served online and joined point-in-time for training.

    Arguments:
        name: name of the component.
        settings: the spec's `features` section.
        platform: where it lives.
        data: the dataset whose sources the views read.

    Outputs:
        offline_uri: where history lives.
        online_url: where the latest values are read, or None if no view is online.
    """

    offline_uri: pulumi.Output[str]
    online_url: pulumi.Output[str | None]

    def __init__(
        self,
        name: str,
        settings: Features,
        *,
        platform: Platform,
        data: Dataset,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        views = {
            view: stated(
                {
                    "source": declared.source,
                    "online": declared.online,
                    "ttl": declared.ttl and declared.ttl.total_seconds(),
                }
            )
            for view, declared in settings.views.items()
        }
        super().__init__("mlops:index:FeatureStore", name, {"views": views}, opts)
        self.settings = settings
        self.data = data
        built = platform.feature_store(self, name, settings)
        self.offline_uri, self.online_url = built.offline_uri, built.online_url
        self.register_outputs({"offlineUri": self.offline_uri, "onlineUrl": self.online_url, "views": views})
