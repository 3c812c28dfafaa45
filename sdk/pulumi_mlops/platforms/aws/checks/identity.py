"""Who asks, and whether the region is open to the account."""

from __future__ import annotations

from collections.abc import Iterator

from pulumi_mlops.platforms.aws.checks.question import Asked
from pulumi_mlops.platforms.aws.clients import AwsError, talking
from pulumi_mlops.platforms.checks import Check, Status


def identity(asked: Asked) -> Check:
    """The caller is in the spec's account, in the role that the spec assumes where it names one."""
    settings = asked.settings
    try:
        caller = asked.clients.caller
    except AwsError as error:
        remedies: tuple[str, ...] = ("aws sts get-caller-identity tells who you are to AWS.",)
        if settings.assume_role is not None:
            remedies = (
                f"Have sts:AssumeRole on {settings.assume_role} allowed to you, and you trusted by it.",
                *remedies,
            )
        return Check("identity", Status.FAIL, str(error), remedies)
    if caller.account != settings.account:
        message = f"{caller.arn} is of the account {caller.account}, and the spec is for {settings.account}"
        remedy = "Choose another profile (AWS_PROFILE), or set platform.aws.assume_role to a role of the account."
        return Check("identity", Status.FAIL, message, (remedy,))
    if caller.arn.endswith(":root"):
        message = f"{caller.arn}: the account's root user may do anything, always"
        return Check("identity", Status.WARN, message, ("Work as a user or role (AWS IAM User Guide).",))
    return Check("identity", Status.OK, caller.arn)


def region(asked: Asked) -> Iterator[Check]:
    """The region exists, and the account has it enabled."""
    name, title = asked.settings.region, "region"
    with talking("regions"):
        filters = [{"Name": "region-name", "Values": [name]}]
        found = asked.clients("ec2").describe_regions(AllRegions=True, Filters=filters)["Regions"]
    if not found:
        yield Check(title, Status.FAIL, f"AWS has no region {name}", ("Mend platform.aws.region.",))
    elif found[0].get("OptInStatus") == "not-opted-in":
        command = f"aws account enable-region --region-name {name}"
        yield Check(title, Status.FAIL, f"{name} is not enabled in the account", (command,))
    else:
        yield Check(title, Status.OK, f"{name} is enabled")
