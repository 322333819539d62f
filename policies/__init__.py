"""edgefleet's promises as policies, for anyone's stacks: `pulumi preview --policy-pack policies`.

One file a subject: a pure function says what is wrong with a resource's inputs, the policy beside
it hands that to the engine. `__main__.py` is what the engine starts.
"""
