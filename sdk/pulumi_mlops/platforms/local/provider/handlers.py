"""All resources of the local provider."""

from __future__ import annotations

from pulumi_mlops.platforms.local.provider.dataset import DatasetHandler
from pulumi_mlops.platforms.local.provider.governance import GovernanceRecordHandler
from pulumi_mlops.platforms.local.provider.handler import registry
from pulumi_mlops.platforms.local.provider.pipeline_run import PipelineRunHandler
from pulumi_mlops.platforms.local.provider.service import ServiceHandler
from pulumi_mlops.platforms.local.provider.store import SecretFileHandler, StoreHandler
from pulumi_mlops.platforms.local.provider.supervisor import SupervisorHandler

HANDLERS = registry(
    StoreHandler(),
    GovernanceRecordHandler(),
    SecretFileHandler(),
    SupervisorHandler(),
    ServiceHandler(),
    DatasetHandler(),
    PipelineRunHandler(),
)
