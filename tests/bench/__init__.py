"""The tools of bench/: what they count is right, and what they ask exists."""
