"""Who does the work: each performer carries out one persona's task."""
