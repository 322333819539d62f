"""`fleet replace-pool`: another plan for a node pool, by a further pool in its place."""
