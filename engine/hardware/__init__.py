"""What the machine computes with: devices, number formats, and what to do when its memory does not suffice."""
