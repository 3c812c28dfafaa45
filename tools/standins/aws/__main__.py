"""Serves the provider; the account is the folder in `PULUMI_MLOPS_STANDIN_ACCOUNT`."""

import os
from pathlib import Path

from tools.standins.aws.account import Account
from tools.standins.aws.provider import AwsProvider
from tools.standins.plugin import serve

if __name__ == "__main__":
    serve(AwsProvider(Account(Path(os.environ["PULUMI_MLOPS_STANDIN_ACCOUNT"]))))
