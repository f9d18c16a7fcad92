"""What a run leaves: records per image, their schema and store, the verdict, and metrics over them."""
