"""Who is at the door, and what they may: passwords, sessions, roles, and what every answer carries."""
