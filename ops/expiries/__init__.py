"""`fleet expiries`: what nears its end, before it ends."""
