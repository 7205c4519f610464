"""An open-loop load generator: requests arrive when they arrive, whether or not the server has answered the others.

It runs in a process of its own (``python -m bench.load``), keeps its connections open, and counts every latency from
the moment at which the request was meant to be sent, so that a server which stalls cannot hide what waited meanwhile.
"""
