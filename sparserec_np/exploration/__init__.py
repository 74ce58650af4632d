"""Dynamic sparse training: masks, probe rows, pruning and growing."""
