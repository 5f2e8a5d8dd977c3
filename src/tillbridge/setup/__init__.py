"""What is done once, before a connection runs: connect, install, check, choose, load, go live."""
