"""The trial in a real account: `make acceptance-aws` brings the quickstart up in AWS, asks it for a prediction, and
takes it down again. See `trial`."""
