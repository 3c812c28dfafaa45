"""What the spec names and does not make: keys, networks, roles, images and secrets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from pulumi_mlops.platforms.aws.checks.question import Asked
from pulumi_mlops.platforms.aws.clients import DeniedError, found, talking
from pulumi_mlops.platforms.aws.names import JOB_LOGS
from pulumi_mlops.platforms.checks import Check, Status
from pulumi_mlops.platforms.references import references

_AT_ONCE: Final = 8

_S3: Final = "com.amazonaws.{region}.s3"

_DNS: Final = {
    "enableDnsSupport": ("EnableDnsSupport", "enable-dns-support"),
    "enableDnsHostnames": ("EnableDnsHostnames", "enable-dns-hostnames"),
}
"""Attributes of a VPC: as EC2 answers them, and as its command line takes them."""


def key(asked: Asked) -> Iterator[Check]:
    """A given key can encrypt: it is enabled, symmetric, and there."""
    arn = asked.settings.key_arn
    if arn is None:
        return
    name, field = f"key {arn}", "platform.aws.key_arn"
    there = found(name, lambda: asked.clients("kms").describe_key(KeyId=arn))
    if there is None:
        yield Check(name, Status.FAIL, "is not there", (f"Mend {field}, or take it out: a key is made then.",))
        return
    about = there["KeyMetadata"]
    if about["KeyState"] != "Enabled":
        message = f"is {about['KeyState']}"
        yield Check(name, Status.FAIL, message, (f"aws kms enable-key --key-id {arn}, or name another in {field}.",))
    elif about["KeyUsage"] != "ENCRYPT_DECRYPT" or about.get("KeySpec", "SYMMETRIC_DEFAULT") != "SYMMETRIC_DEFAULT":
        message = f"is for {about['KeyUsage']} ({about.get('KeySpec')}), and symmetric encryption is needed"
        yield Check(name, Status.FAIL, message, (f"Name another in {field}.",))
    else:
        yield Check(name, Status.OK, "is enabled, and encrypts")


def network(asked: Asked) -> Iterator[Check]:
    """A given VPC has the given subnets and DNS, and leads to the services that jobs need."""
    settings = asked.settings.network
    if settings.vpc_id is None:
        return
    from pulumi_mlops.platforms.aws.network import SERVICES

    vpc, ec2, name = settings.vpc_id, asked.clients("ec2"), f"network {settings.vpc_id}"
    there = found(name, lambda: ec2.describe_vpcs(VpcIds=[vpc]))
    if there is None:
        yield Check(name, Status.FAIL, "is not there", ("Mend platform.aws.network.vpc_id.",))
        return
    subnets = found(f"{name}, subnets", lambda: ec2.describe_subnets(SubnetIds=settings.subnet_ids)["Subnets"])
    strangers = sorted(set(settings.subnet_ids) - {each["SubnetId"] for each in subnets or () if each["VpcId"] == vpc})
    if strangers:
        remedy = f"aws ec2 describe-subnets --filters Name=vpc-id,Values={vpc} lists those that it has."
        yield Check(name, Status.FAIL, f"has no subnet {', '.join(strangers)}", (remedy,))
        return
    with talking(name):
        dns = [
            attribute
            for attribute, (field, _) in _DNS.items()
            if not ec2.describe_vpc_attribute(VpcId=vpc, Attribute=attribute)[field]["Value"]
        ]
        filters = [{"Name": "vpc-id", "Values": [vpc]}]
        endpoints = ec2.describe_vpc_endpoints(Filters=filters)["VpcEndpoints"]
        routes = ec2.describe_route_tables(Filters=filters)["RouteTables"]
    if dns:
        commands = tuple(f"aws ec2 modify-vpc-attribute --vpc-id {vpc} --{_DNS[each][1]}" for each in dns)
        yield Check(name, Status.FAIL, f"lacks {' and '.join(dns)}: names of services lead nowhere", commands)
        return
    have = {each["ServiceName"].removeprefix("cn.") for each in endpoints}
    out = any(route.get("NatGatewayId") or route.get("TransitGatewayId") for each in routes for route in each["Routes"])
    wanted = [service.format(region=asked.settings.region) for service in (_S3, *SERVICES)]
    missing = [service for service in wanted if service not in have]
    if missing and not out:
        message = f"has neither a way out nor VPC endpoints for {', '.join(missing)}"
        remedy = "Make them in the VPC, or leave platform.aws.network out: a network with them is made then."
        yield Check(name, Status.FAIL, message, (remedy,))
    else:
        zones = sorted({each["AvailabilityZone"] for each in subnets or ()})
        way = "a gateway" if missing else "VPC endpoints"
        yield Check(name, Status.OK, f"{len(settings.subnet_ids)} subnets in {', '.join(zones)}; services by {way}")


def pieces(asked: Asked) -> Iterator[Check]:
    """Buckets, tracking server, roles and the permissions boundary that the spec names are there."""
    settings, clients = asked.settings, asked.clients
    iam, s3 = clients("iam"), clients("s3")
    wanted: list[tuple[str, str, Callable[[], Any]]] = []
    for field, bucket in (("bucket", settings.store.bucket), ("log_bucket", settings.store.log_bucket)):
        if bucket is not None:
            wanted.append((f"bucket {bucket}", f"store.{field}", _asking(s3.head_bucket, Bucket=bucket)))
    if (server := settings.tracking.server_arn) is not None:
        described = clients("sagemaker").describe_mlflow_tracking_server
        name = server.rpartition("/")[2]
        wanted.append((f"tracking server {name}", "tracking.server_arn", _asking(described, TrackingServerName=name)))
    for field in type(settings.roles).model_fields:
        if (arn := getattr(settings.roles, field)) is not None:
            name = arn.rpartition("/")[2]
            wanted.append((f"role {name}", f"roles.{field}", _asking(iam.get_role, RoleName=name)))
    if (boundary := settings.permissions_boundary) is not None:
        wanted.append((f"policy {boundary}", "permissions_boundary", _asking(iam.get_policy, PolicyArn=boundary)))
    for what, field, ask in wanted:
        if found(what, ask) is None:
            yield Check(what, Status.FAIL, "is not there", (f"Mend platform.aws.{field}.",))
        else:
            yield Check(what, Status.OK, "is there")


def images(asked: Asked) -> Iterator[Check]:
    """Images are in ECR, with the digest or tag that the spec names."""
    named = {
        field: getattr(asked.settings.images, field)
        for field in type(asked.settings.images).model_fields
        if getattr(asked.settings.images, field) is not None
    }
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield from pool.map(lambda item: _image(asked, *item), named.items())


def _image(asked: Asked, field: str, image: str) -> Check:
    host, _, rest = image.partition("/")
    owner, _, place = host.partition(".dkr.ecr.")
    region, (path, _, digest) = place.partition(".")[0], rest.partition("@")
    repository, _, tag = path.partition(":")
    # By digest where there is one: that is what is pulled.
    which = {"imageDigest": digest} if digest else {"imageTag": tag or "latest"}
    name, shown = f"image {field}", f"{repository}{'@' + digest if digest else ':' + (tag or 'latest')}"
    build = f"mlops image build {field.replace('_', '-')}"
    push = f"Build it ({build}), push it, and name it in platform.aws.images.{field}."
    try:
        there = found(
            name,
            lambda: asked.clients("ecr", region).describe_images(
                registryId=owner, repositoryName=repository, imageIds=[which]
            ),
        )
    except DeniedError as error:
        return Check(name, Status.WARN, f"not checked, for the caller may not look: {error}")
    if there is None:
        if _is_made(asked, image) and not _repository_is_there(asked, repository):
            message = f"{shown} can't be there yet: pulumi up makes the repository, and stops at the first endpoint"
            return Check(name, Status.WARN, message, (f"{push} Then run pulumi up again.",))
        return Check(name, Status.FAIL, f"{host} has no {shown}", (push,))
    if region != asked.settings.region:
        message = f"is in {region}, and jobs in {asked.settings.region} pull from their own region only"
        return Check(
            name,
            Status.FAIL,
            message,
            ("Replicate the repository to the region (aws ecr put-replication-configuration).",),
        )
    return Check(name, Status.OK, f"{shown} is there")


def _is_made(asked: Asked, image: str) -> bool:
    """Whether the image's repository is the stack's own; see `repository.ours`."""
    names = asked.names
    return image.startswith(f"{names.id}.dkr.ecr.{names.region}.{names.domain}/{names.prefix}/")


def _repository_is_there(asked: Asked, name: str) -> bool:
    ecr = asked.clients("ecr")
    return found(f"repository {name}", lambda: ecr.describe_repositories(repositoryNames=[name])) is not None


def logs(asked: Asked) -> Iterator[Check]:
    """Log groups of the account's jobs are kept for a time that somebody has chosen; they are no stack's."""
    client, kept = asked.clients("logs"), asked.settings.log_retention.days
    for group in JOB_LOGS.values():
        with talking(f"log group {group}"):
            listed = client.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        there = next((each for each in listed if each["logGroupName"] == group), None)
        make = () if there else (f"aws logs create-log-group --log-group-name {group}",)
        keep = f"aws logs put-retention-policy --log-group-name {group} --retention-in-days {kept}"
        if there is None or "retentionInDays" not in there:
            message = "keeps logs for ever; it is all jobs' of the account, and no stack's"
            yield Check(f"log group {group}", Status.WARN, message, (*make, keep))
        else:
            days = there["retentionInDays"]
            encrypted = "" if "kmsKeyId" in there else ", encrypted by a key of AWS"
            yield Check(f"log group {group}", Status.OK, f"keeps logs for {days} days{encrypted}")


def secrets(asked: Asked) -> Iterator[Check]:
    """Secrets that the spec refers to are in Secrets Manager; no value is read."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for _, reference in references(asked.spec):
        kind, _, rest = reference.partition(":")
        if kind == "secret":
            name, _, field = rest.partition("/")
            wanted[name].add(field)
    client = asked.clients("secretsmanager") if wanted else None
    for name, keys in sorted(wanted.items()):
        title, shown = f"secret {name}", ", ".join(sorted(keys))
        there = found(title, _asking(client.describe_secret, SecretId=name))  # type: ignore[union-attr]
        if there is None:
            pairs = ",".join(f'"{each}":"…"' for each in sorted(keys))
            command = (
                f"aws secretsmanager create-secret --name {name} --secret-string '{{{pairs}}}' "
                f"--region {asked.settings.region}"
            )
            yield Check(title, Status.FAIL, f"is not there; {shown} is read from it", (command,))
        elif there.get("DeletedDate") is not None:
            command = f"aws secretsmanager restore-secret --secret-id {name} --region {asked.settings.region}"
            yield Check(title, Status.FAIL, "is about to be deleted", (command,))
        else:
            yield Check(title, Status.OK, f"is there (whether it has {shown} is not looked at: no value is read)")


def _asking(ask: Callable[..., Any], **arguments: Any) -> Callable[[], Any]:
    return lambda: ask(**arguments)
