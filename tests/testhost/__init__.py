"""A real test host: a Debian 12 system, booted in a virtual machine, with Fairuse installed in it.

`image` and `wheels` build what is booted, `machine` boots it, `remote` speaks to it, `host` is what
a test holds in its hand, and `network` gives several of them a private network.
"""
