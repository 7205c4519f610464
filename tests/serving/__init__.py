"""Several workers, and the supervisor over them."""
