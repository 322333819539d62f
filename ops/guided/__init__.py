"""What guided changes share: steps, `pulumi up`, the doctor between, stack files edited."""
