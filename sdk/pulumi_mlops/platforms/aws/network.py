"""The private network: a VPC that exists, or one that is made without a way to the internet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from ipaddress import IPv4Network
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from pulumi_mlops.platforms import databases
from pulumi_mlops.platforms.aws import storage
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.databases import HTTPS
from pulumi_mlops.spec.aws import Aws
from pulumi_mlops.spec.data import Data

SERVICES: Final = (
    # what jobs and servers call: code of the runtime, and MLflow's client
    *("com.amazonaws.{region}.sagemaker.api", "com.amazonaws.{region}.sagemaker.featurestore-runtime"),
    *("aws.sagemaker.{region}.experiments", "com.amazonaws.{region}.monitoring", "com.amazonaws.{region}.kms"),
    *("com.amazonaws.{region}.sts", "com.amazonaws.{region}.secretsmanager"),
    "com.amazonaws.{region}.scheduler",  # a run that succeeds puts off the alert of overdue runs
)
"""Services that are reached from within, each by an interface in every zone. Images and logs of jobs are moved by
SageMaker itself, outside of the network (Developer Guide, "Give SageMaker AI Processing Jobs Access")."""

_SUBNET_BITS: Final = 2
"""A quarter of the addresses for each subnet, so that the number of zones can change (`network.zones`: 4 at most)."""


def build(account: Account, logs: pulumi.Resource) -> None:
    """Set the subnets and the security group of jobs and endpoints.

    Arguments:
        account: where they are made.
        logs: what must exist before logs are written.
    """
    settings = account.settings.network
    if settings.vpc_id is not None:
        account.subnet_ids = pulumi.Output.from_input(settings.subnet_ids)
        group = _group(account, "jobs", settings.vpc_id, "Jobs and endpoints: no way in")
        _out(account, f"{account.name}-jobs-https", group, "HTTPS; the VPC says where to", cidr_ipv4=_ANYWHERE)
        account.security_group_id = group.id
        return
    _make(account, logs)


def problems(data: Data, settings: Aws) -> list[str]:
    """Sources that a network without a way out never reaches, a sentence each that begins with the field."""
    if settings.network.vpc_id is not None:
        return []
    return [
        f"data.sources.{name}.uri: the network that is made for jobs reaches AWS and nothing else; give a VPC that "
        "reaches the source (platform.aws.network.vpc_id and subnet_ids), or put its data into a bucket"
        for name, source in data.sources.items()
        if databases.ports([source])
    ]


def reach(account: Account, parent: pulumi.Resource, name: str, data: Data) -> None:
    """Let jobs speak to the databases of a model's sources; the VPC says where to.

    Arguments:
        account: where the rules are made.
        parent: component that they belong to.
        name: beginning of the Pulumi resources' names.
        data: the sources; models may share a port.
    """
    for port in databases.ports(data.sources.values()):
        if port == HTTPS or not account.claim("port", str(port), name, settings=port):
            continue
        aws.vpc.SecurityGroupEgressRule(
            f"{name}-port-{port}",
            security_group_id=account.security_group_id,
            description=f"Databases at port {port}",
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
            cidr_ipv4=_ANYWHERE,
            tags=account.tags("network"),
            opts=account.options(parent=parent),
        )


def subnets(cidr: str, zones: int) -> list[str]:
    """Addresses of the subnets of a VPC, one for each zone."""
    parts = IPv4Network(cidr, strict=False).subnets(prefixlen_diff=_SUBNET_BITS)
    return [str(part) for part, _ in zip(parts, range(zones), strict=False)]


def _make(account: Account, logs: pulumi.Resource) -> None:
    settings, name = account.settings.network, account.name
    cidr = str(IPv4Network(settings.cidr, strict=False))
    vpc = aws.ec2.Vpc(
        f"{name}-vpc",
        cidr_block=cidr,
        # Services are found by the names that they have everywhere.
        enable_dns_support=True,
        enable_dns_hostnames=True,
        tags=_named(account, account.prefix),
        opts=account.options(),
    )
    # The group that AWS makes with a VPC lets its members speak to each other and out; nothing is in it.
    aws.ec2.DefaultSecurityGroup(
        f"{name}-default", vpc_id=vpc.id, tags=_named(account, account.called("unused")), opts=account.options()
    )
    aws.ec2.FlowLog(
        f"{name}-flows",
        vpc_id=vpc.id,
        traffic_type="ALL",
        log_destination_type="s3",
        log_destination=storage.arn(account, storage.logs_name(account), f"{storage.NETWORK}/"),
        tags=account.tags("network"),
        opts=account.options(needs=[logs]),
    )
    table = aws.ec2.RouteTable(
        f"{name}-routes", vpc_id=vpc.id, tags=_named(account, account.called("private")), opts=account.options()
    )
    made = _subnets(account, vpc, table)
    jobs = _group(account, "jobs", vpc.id, "Jobs and endpoints: no way in")
    within = _group(account, "services", vpc.id, "Interfaces of services: HTTPS from jobs and endpoints")
    aws.vpc.SecurityGroupIngressRule(
        f"{name}-services-https",
        security_group_id=within.id,
        referenced_security_group_id=jobs.id,
        description="HTTPS from jobs and endpoints",
        ip_protocol="tcp",
        from_port=HTTPS,
        to_port=HTTPS,
        tags=account.tags("network"),
        opts=account.options(),
    )
    _out(account, f"{name}-jobs-services", jobs, "HTTPS to services", referenced_security_group_id=within.id)
    endpoints = _services(account, vpc, made, within, table)
    _out(account, f"{name}-jobs-s3", jobs, "HTTPS to S3", prefix_list_id=endpoints[0].prefix_list_id)
    account.subnet_ids = pulumi.Output.all(*(subnet.id for subnet in made))
    # Whoever runs in the group comes after what it reaches.
    account.security_group_id = pulumi.Output.all(jobs.id, *(each.id for each in endpoints)).apply(lambda ids: ids[0])


def _subnets(account: Account, vpc: aws.ec2.Vpc, table: aws.ec2.RouteTable) -> list[aws.ec2.Subnet]:
    settings = account.settings.network
    zones = aws.get_availability_zones_output(
        state="available",
        # Not Local Zones, which have few services.
        filters=[{"name": "opt-in-status", "values": ["opt-in-not-required"]}],
        opts=pulumi.InvokeOutputOptions(parent=account.platform, provider=account.provider),
    )
    found = []

    def zone(names: Sequence[str], i: int) -> str:
        if i >= len(names):
            raise pulumi.RunError(
                f"platform.aws.network.zones: {settings.zones} asked for, and {account.region} has {len(names)} "
                f"({', '.join(names)}); ask for fewer"
            )
        return names[i]

    for i, cidr in enumerate(subnets(settings.cidr, settings.zones)):
        name = f"{account.name}-private-{i}"
        subnet = aws.ec2.Subnet(
            name,
            vpc_id=vpc.id,
            cidr_block=cidr,
            availability_zone=zones.names.apply(partial(zone, i=i)),
            map_public_ip_on_launch=False,
            tags=_named(account, account.called(f"private-{i}")),
            opts=account.options(),
        )
        aws.ec2.RouteTableAssociation(name, subnet_id=subnet.id, route_table_id=table.id, opts=account.options())
        found.append(subnet)
    return found


def _services(
    account: Account,
    vpc: aws.ec2.Vpc,
    made: Sequence[aws.ec2.Subnet],
    group: aws.ec2.SecurityGroup,
    table: aws.ec2.RouteTable,
) -> list[aws.ec2.VpcEndpoint]:
    policy = json.dumps({"Version": "2012-10-17", "Statement": [_own_identities(account)]}, sort_keys=True)
    common: dict[str, Any] = {"vpc_id": vpc.id, "policy": policy}
    s3 = aws.ec2.VpcEndpoint(
        f"{account.name}-s3",
        service_name=f"com.amazonaws.{account.region}.s3",
        vpc_endpoint_type="Gateway",
        route_table_ids=[table.id],
        tags=_named(account, account.called("s3")),
        opts=account.options(),
        **common,
    )
    found = [s3]
    for service in SERVICES:
        full = service.format(region=account.region)
        # China's names of services begin with cn.
        full = f"cn.{full}" if account.partition == "aws-cn" else full
        short = full.rpartition(f"{account.region}.")[2].replace(".", "-")
        found.append(
            aws.ec2.VpcEndpoint(
                f"{account.name}-{short}",
                service_name=full,
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=[subnet.id for subnet in made],
                security_group_ids=[group.id],
                tags=_named(account, account.called(short)),
                opts=account.options(),
                **common,
            )
        )
    return found


def _own_identities(account: Account) -> dict[str, Any]:
    """Only identities of this account are let through: nobody carries data away with credentials of their own. What
    each may do is in its role."""
    return {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "*",
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:PrincipalAccount": account.id}},
    }


def _group(account: Account, part: str, vpc: pulumi.Input[str], description: str) -> aws.ec2.SecurityGroup:
    return aws.ec2.SecurityGroup(
        f"{account.name}-{part}",
        name=account.called(part),
        description=description,
        vpc_id=vpc,
        tags=_named(account, account.called(part)),
        opts=account.options(),
    )


def _out(account: Account, name: str, group: aws.ec2.SecurityGroup, description: str, **to: pulumi.Input[str]) -> None:
    aws.vpc.SecurityGroupEgressRule(
        name,
        security_group_id=group.id,
        description=description,
        ip_protocol="tcp",
        from_port=HTTPS,
        to_port=HTTPS,
        tags=account.tags("network"),
        opts=account.options(),
        **to,
    )


def _named(account: Account, name: str) -> dict[str, str]:
    return {"Name": name, **account.tags("network")}


_ANYWHERE: Final = "0.0.0.0/0"
