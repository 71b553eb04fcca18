"""What is seen: the Textual console over a checkpoint directory."""
