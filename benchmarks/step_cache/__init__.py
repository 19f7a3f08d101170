"""What a step cache saves, and what it does to the pictures."""
