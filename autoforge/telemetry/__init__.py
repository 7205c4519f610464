"""What the process says about itself: structured logs, metrics, traces and profiles."""
