"""What is written: pictures that are kept, and, where a site allows it, what people judge."""
