"""What is durable: links, shadows, cursors, staged sales, runs, problems and people in review.

One SQLite file in the home directory (the same schema serves PostgreSQL later).
Every write here is one short transaction, and none stays open across a network
call. Personal data is sealed; ids, states and reasons are in the clear, because
people look them up.
"""
