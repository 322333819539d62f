"""`fleet drift`: what the clouds hold against what the code says. It changes nothing."""
