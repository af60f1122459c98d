"""How fast this server is, measured beside a peer and beside a floor in one run: `make bench`."""
