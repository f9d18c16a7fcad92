"""Tables, figures and papers."""
