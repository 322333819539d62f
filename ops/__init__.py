"""The `fleet` command: what people do between one `pulumi up` and the next."""
