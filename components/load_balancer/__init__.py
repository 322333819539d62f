"""Who announces the addresses of Services of type LoadBalancer, where no cloud does.

A load balancer here is a component that makes the cluster's network send packets for an address to
its nodes. What a stack needs of it: the annotations by which a Service asks for addresses
(`ingress/contract.py`, LoadBalancerService), and a table of ports that nodes must open for it. It
announces what it was given and no other address; two of them never have the same.

`addresses.py` says what may be announced. `metallb.py` is MetalLB.
"""
