"""How a node makes itself known: hardware, registration, announcements."""
