"""`fleet upgrade`: a cluster's new version, step by step, with the doctor between."""
