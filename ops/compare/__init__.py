"""`fleet compare`: what differs between clusters, and from what their files say."""
