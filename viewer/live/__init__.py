"""Following messages as they arrive: the tail of the store, its followers, and sampled figures."""
