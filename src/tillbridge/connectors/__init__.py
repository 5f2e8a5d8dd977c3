"""One package a remote system. They know `model` only, and never each other."""
