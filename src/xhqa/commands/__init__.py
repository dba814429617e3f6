"""What the commands do that is more than a call."""
