"""What was built: its key, its record, where it lies, what may go."""
