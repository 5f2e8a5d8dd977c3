"""Migrations, oldest first. Each one is written by hand and never changed afterwards."""
