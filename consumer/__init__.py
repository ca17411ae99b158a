"""The consumer: receives from the queue, stores, deletes."""
