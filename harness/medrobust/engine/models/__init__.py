"""Models: built, trained, defended, loaded, and prepared for being attacked."""
