"""The commands, a file for each group. Importing one registers its commands at the root."""
