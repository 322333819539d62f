"""CoreDNS is whoever made the cluster's; how many of it run, and its cache's size, are ours."""

import edgefleet
import pulumi

config = pulumi.Config()
coredns = edgefleet.ServerSidePatch(
    "coredns",
    {
        "kubeconfig": config.require_secret("kubeconfig"),
        "kind": "Deployment",
        "namespace": "kube-system",
        "object_name": "coredns",
        # Kubernetes knows who owns which field: theirs stay theirs, also when they write again.
        "field_manager": "capacity",
        "fields": {"spec": {"replicas": config.require_int("replicas")}},
        "containers": {"coredns": {"env": {"GOMEMLIMIT": "150MiB"}}},
        # Where another manager holds one of these fields with another value, the preview says so
        # and nothing is changed, unless this is true.
        "force": config.get_bool("force") or False,
    },
)
pulumi.export("generation", coredns.generation)
