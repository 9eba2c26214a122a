"""Jobs: their records, the queue, and what happens to one from upload to expiry."""
