"""What runs: the engine carries out plans, one phase after another."""
