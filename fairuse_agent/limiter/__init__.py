"""The privileged half: the only program that changes the kernel. Imports only the protocol."""
