"""What lasts: checkpoints, journal, locks, the workspace's trees, and the watcher over them."""
