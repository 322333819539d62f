"""The twin: the fleet that the sandbox holds, as a site of namespaces on one machine.

What the sandbox's APIs have is read (`published.py`) and run: nodes with the addresses that Vultr
gave them, the pods of the clusters' DaemonSets, the zone's records, routes, certificates and
Worker. ufw, iptables, felix where it is built, nginx, workerd and every packet are real; what is
emulated is Cloudflare's network between visitor and origin (`cloudflare.py`, `egress.mjs`), NGINX's
controller, which writes nginx.conf (`controller.py`), what calico-node notes on its Node
(`runners.py`), and an application (`app.py`).
"""
