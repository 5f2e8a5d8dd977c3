"""The JSON API: what the pages show and do, for programs. Routes stand in the one table, with the pages'."""
