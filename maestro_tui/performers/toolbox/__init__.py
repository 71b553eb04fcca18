"""The default team: tools that do real work on the project in the workspace, with no AI, key or network."""
