"""`fleet twin`: the demo's fleet run with real packets, and what breaks when parts of it do."""
